"""Shards of coloured images, for the tests of the input benchmark."""

import records_for_tests

NUM_FILES, RECORDS_PER_FILE = 3, 5
NUM_RECORDS = NUM_FILES * RECORDS_PER_FILE
BATCH_SIZE = 4
OVERRIDE = ('task.model.input_size=[64, 64, 3],'
            'task.train_data.shuffle_buffer_size=20')


def write(folder, image_format='JPEG'):
  for split in ('train', 'validation'):
    for index in range(NUM_FILES):
      records_for_tests.write(
          folder / f'{split}-{index:05d}-of-{NUM_FILES:05d}',
          [records_for_tests.example(1 + number, records_for_tests.encode(
              image_format, color=(10 * number, 0, 250)))
           for number in range(RECORDS_PER_FILE)])
  return folder
