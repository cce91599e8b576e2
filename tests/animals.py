"""Records of cats, dogs and eels, each an image of one colour."""

import pathlib

import records_for_tests

COLORS = {'cat': (250, 20, 20), 'dog': (20, 250, 20), 'eel': (20, 20, 250),
          'fox': (250, 250, 20)}


def write(folder, names, split='validation', count=4, first_label=0):
  """Writes a split and class_names.txt, as a conversion of its own does.

  Args:
    folder: where to; made if missing.
    names: of the classes, by label.
    split: whose shard to write.
    count: images of each class.
    first_label: label of the first name.

  Returns:
    The folder.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  (folder / 'class_names.txt').write_text(
      ''.join(f'{name}\n' for name in names), encoding='utf-8')
  records_for_tests.write(
      folder / f'{split}-00000-of-00001',
      [records_for_tests.example(label, records_for_tests.encode(
          color=COLORS.get(name, (128, 128, 128))))
       for label, name in enumerate(names, first_label)
       for _ in range(count)])
  return str(folder)
