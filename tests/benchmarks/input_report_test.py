"""Tests of what the input benchmark says."""

import pytest

from official_ext.benchmarks import input_report
from official_ext.benchmarks import input_rows


def measured(name, *windows, threads=None):
  return input_rows.Measured(
      input_rows.Row(name, threads=threads),
      [input_rows.Window(*window) for window in windows])

PIPELINE = measured(
    'whole', (600, 2.0, 3.0, 1.0), (400, 1.0, 1.6, 3.0), (500, 1.0, 1.5, 2.0))


def test_a_row_in_figures():
  summary = input_report.summarize(PIPELINE, PIPELINE, num_cores=4)
  assert summary == input_report.Summary(
      row='whole', images_per_second=400.0, images_per_second_min=300.0,
      images_per_second_max=500.0, images_per_second_per_core=100.0,
      cpu_ms_per_image=4.0, busy_cores=1.5, first_batch_seconds=2.0,
      of_pipeline=1.0, num_images=1500)


@pytest.mark.parametrize('threads, num_cores, per_core', [
    (None, 4, 75.0), (1, 4, 300.0), (2, 4, 150.0), (8, 4, 75.0)])
def test_per_core(threads, num_cores, per_core):
  row = measured('mine', (300, 1.0, 1.0, 1.0), (900, 3.0, 1.0, 1.0),
                 (100, 1.0, 1.0, 1.0), threads=threads)
  summary = input_report.summarize(row, PIPELINE, num_cores)
  assert summary.images_per_second_per_core == per_core
  # Turn by turn: 300/300, 300/400, 100/500.
  assert summary.of_pipeline == 0.75


def pipeline(median, num_cores, cpu_ms=None, busy_cores=None):
  return input_report.Summary(
      input_rows.PIPELINE, images_per_second=median,
      images_per_second_per_core=median / num_cores,
      cpu_ms_per_image=cpu_ms or 1e3 * num_cores / median,
      busy_cores=busy_cores)


@pytest.mark.parametrize('consumed, median, num_cores, expected', [
    (1200, 790, 2,
     'B12 consumes 1,200 images/s, the input gives 790 on 2 cores: the input '
     'is the limit. It needs 4 cores to keep up, at 395 images/s per core.'),
    (300, 790, 2,
     'B12 consumes 300 images/s, the input gives 790 on 2 cores: the model is '
     'the limit. For the input 1 core would do, at 395 images/s per core.'),
    (790, 790, 2,
     'B12 consumes 790 images/s, the input gives 790 on 2 cores: the model is '
     'the limit. For the input 2 cores would do, at 395 images/s per core.'),
    (401, 400, 1,
     'B12 consumes 401 images/s, the input gives 400 on 1 core: the input is '
     'the limit. It needs 2 cores to keep up, at 400 images/s per core.'),
])
def test_the_verdict(consumed, median, num_cores, expected):
  assert input_report.verdict(
      'B12', consumed, pipeline(median, num_cores), num_cores) == expected


@pytest.mark.parametrize('consumed, per_core, expected', [
    (300, 100, 3), (300.1, 100, 4), (300, 99.999999999, 3), (1, 100, 1)])
def test_cores_needed(consumed, per_core, expected):
  assert input_report.cores_needed(consumed, per_core) == expected


def test_the_verdict_where_cores_were_idle_or_taken():
  assert input_report.verdict(
      'B12', 1500, pipeline(420, 2, cpu_ms=2.5), 2) == (
          'B12 consumes 1,500 images/s, the input gives 420 on 2 cores: the '
          'input is the limit. It needs 8 cores to keep up, at 210 images/s '
          'per core (4 at 2.50 ms of CPU time per image).')


def test_a_note_if_cores_were_idle_or_taken():
  busy = pipeline(790, 2, busy_cores=1.9)
  verdict, = input_report.notes([busy], [('B12', 300)], 2)
  assert verdict == input_report.verdict('B12', 300, busy, 2)
  note, _ = input_report.notes(
      [pipeline(450, 2, busy_cores=1.2)], [('B12', 300)], 2)
  assert 'kept 1.2 of 2 cores busy' in note


def read_consumers(path, text):
  path = path / 'train_step.csv'
  path.write_text(text)
  return input_report.read_consumers(
      str(path), {'image_size': '224', 'mode': 'train'})


def test_consumers_of_a_csv_file(tmp_path):
  assert read_consumers(tmp_path, (
      'images_per_second,layout\n500.5,"B6(197, m4096)-6(99)"\n,B12\n'
      '1e3,B4-4-4\n')) == [('B6(197, m4096)-6(99)', 500.5), ('B4-4-4', 1000)]


def test_consumers_in_other_circumstances(tmp_path):
  assert read_consumers(tmp_path, (
      'layout,image_size,mode,batch_size,dtype,images_per_second\n'
      'B12,224,train,64,float32,100\nB12,224,train,128,float32,120\n'
      'B12,384,train,64,float32,30\nB12,224,eval,64,float32,400\n')) == [
          ('B12, batch_size 64', 100), ('B12, batch_size 128', 120)]


@pytest.mark.parametrize('text, message', [
    *((text, 'no line with the columns layout and images_per_second for '
       'image_size 224, mode train. Or give the figure') for text in (
           '', 'layout,images_per_second\n', 'layout,steps\nB12,3\n',
           'layout,images_per_second\nB12,\n',
           'layout,mode,images_per_second\nB12,eval,5\n')),
    ('layout,images_per_second\nB12,fast\n', "is 'fast', but must be a number"),
    ('layout,images_per_second\nB12,0\n', "is '0', but must be a number above"),
    ('layout,images_per_second\nB12,nan\n', "is 'nan', but must be a number"),
])
def test_a_csv_file_that_does_not_fit(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    read_consumers(tmp_path, text)


def test_a_csv_file_that_is_missing(tmp_path):
  with pytest.raises(ValueError, match='--train_step_csv=.*cannot be read'):
    input_report.read_consumers(str(tmp_path / 'missing.csv'), {})
