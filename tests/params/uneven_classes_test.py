"""Where classes can neither be weighed nor sampled."""

import pytest

from official_ext.params import experiment

TFDS = ("task.data_dir='',task.train_data.tfds_name=mnist,"
        'task.train_data.tfds_split=train')
SEVERAL = ('task.train_data.is_multilabel=true,'
           'task.train_data.mixup_and_cutmix=null')
FROM_FILES = 'task.train_data.cache=false'


def load(*settings):
  return experiment.load(
      'funnel_vit_digits', params_override=','.join(settings))


@pytest.mark.parametrize('settings, message', [
    (('task.class_weights=balanced', SEVERAL), 'belong to several classes'),
    (('task.class_weights=balanced', TFDS), 'counted in TFRecords alone'),
    (('task.class_sampling=balanced', FROM_FILES, TFDS), 'in TFRecords alone'),
    (('task.class_sampling=balanced',), 'task.train_data.cache=true they have'),
    (('task.class_sampling=balanced', FROM_FILES,
      'task.class_weights=balanced'), 'count for their number twice'),
    (('task.class_weights=balance',), 'class_weights'),
])
def test_what_is_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    load(*settings)


def test_half_of_both_is_taken():
  params = load('task.class_sampling=square_root', FROM_FILES,
                'task.class_weights=square_root')
  assert params.task.class_sampling == 'square_root'
