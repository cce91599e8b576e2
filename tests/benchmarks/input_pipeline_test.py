"""Tests of the input benchmark. None is timed: they check what is counted."""

import os
import subprocess
import sys

import commands
import numpy as np
from official.core import task_factory
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import input_report
from official_ext.benchmarks import input_rows
from official_ext.params import experiment

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


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return write(tmp_path_factory.mktemp('records'))


def load(override=OVERRIDE):
  return experiment.load('funnel_vit_imagenet', params_override=override)


def make_source(data_dir, split='train', override=OVERRIDE):
  return input_rows.Source(
      load(override).task, str(data_dir), split, BATCH_SIZE)


@pytest.mark.parametrize('num_batches, batch_size, num_records, expected', [
    (5, 4, None, 20), (1, 4, 15, 4), (4, 4, 15, 15), (5, 4, 15, 19),
    (9, 4, 15, 34), (3, 5, 5, 15), (2, 8, 3, 6)])
def test_images_in_the_first_batches_of_a_stream(
    num_batches, batch_size, num_records, expected):
  assert input_rows.expected_images(
      num_batches, batch_size, num_records) == expected


@pytest.mark.parametrize('row', [*input_rows.stages(), input_rows.Row(
    'one thread', threads=1), input_rows.Row('cache', {'cache': True})],
                         ids=lambda row: row.name)
@pytest.mark.parametrize('split', ['train', 'validation'])
def test_images_are_counted(data_dir, split, row):
  window = input_rows.measure(
      make_source(data_dir, split), row, warm_up_seconds=0, num_images=31)
  # After a warm-up of one batch, or of a pass for the cache. In evaluation
  # every fourth batch holds three images.
  is_filled = 'cache' in row.settings
  assert window.num_images == {
      ('train', False): 32, ('train', True): 32,
      ('validation', False): 3 * 4 + 3 + 3 * 4 + 3 + 4,
      ('validation', True): 2 * 15 + 4}[split, is_filled]
  assert window.seconds > 0 and window.first_batch_seconds > 0


def test_a_window_by_time_has_whole_batches(data_dir):
  window = input_rows.measure(
      make_source(data_dir), input_rows.Row(input_rows.PIPELINE),
      warm_up_seconds=0, seconds=0)
  assert window.num_images == BATCH_SIZE


def test_other_images_than_expected_are_an_error(data_dir, monkeypatch):
  monkeypatch.setattr(input_rows, 'expected_images', lambda *_: 9)
  with pytest.raises(RuntimeError, match='2 batches held 8 images instead of 9'
                     ):
    input_rows.measure(make_source(data_dir), input_rows.Row('mine'), 0,
                       num_images=1)


def test_the_source_knows_its_files(data_dir):
  source = make_source(data_dir, 'validation')
  assert len(source.files) == NUM_FILES
  assert all('/validation-' in file for file in source.files)
  assert source.num_images == NUM_RECORDS
  assert source.num_bytes == sum(map(os.path.getsize, source.files))


def test_images_of_many_files_are_extrapolated(data_dir, monkeypatch):
  monkeypatch.setattr(input_rows, '_COUNTED_IMAGES', RECORDS_PER_FILE)
  source = make_source(data_dir)
  assert source.num_images == NUM_RECORDS
  # Only what was counted fills the cache.
  cached = source.settings(input_rows.Row('cache', {'cache': True}))
  assert cached.input_path == source.files[:1]


def test_the_pipeline_is_the_tasks_own(data_dir):
  source = make_source(data_dir, 'validation')
  params = load(f"{OVERRIDE},task.data_dir='{data_dir}',"
                f'task.validation_data.global_batch_size={BATCH_SIZE}')
  task = task_factory.get_task(params.task)
  expected = list(task.build_inputs(params.task.validation_data))
  taken = source.build(input_rows.Row(input_rows.PIPELINE)).take(8)
  for index, (images, (labels, weights)) in enumerate(taken):
    # The second pass is as the first.
    wanted, (wanted_labels, wanted_weights) = expected[index % 4]
    np.testing.assert_array_equal(images, wanted)
    np.testing.assert_array_equal(labels, wanted_labels)
    np.testing.assert_array_equal(weights, wanted_weights)


def test_stages_read_and_decode_every_record(data_dir):
  source = make_source(data_dir, 'validation')
  read = np.concatenate([batch.numpy() for batch in source.build(
      input_rows.Row(input_rows.READING)).take(4)])
  written = [record for file in source.files
             for record in tf.data.TFRecordDataset(file).as_numpy_iterator()]
  assert sorted(read) == sorted(written)
  pixels = np.concatenate([batch.numpy() for batch in source.build(
      input_rows.Row(input_rows.DECODING)).take(4)])
  expected = [(10 * number, 0, 250) for number in range(RECORDS_PER_FILE)]
  np.testing.assert_allclose(
      sorted(pixels.tolist()), sorted(NUM_FILES * expected), atol=5)


def test_variants_change_one_setting_each(data_dir):
  source = make_source(data_dir)
  rows = input_rows.variants(source.data)
  assert {name for row in rows for name in row.settings} == set(
      input_rows.SETTINGS)
  before = source.data.as_dict()
  for row in rows:
    after = source.settings(row).as_dict()
    changed = {key for key in before if before[key] != after[key]}
    name, = row.settings
    assert changed - {'input_path'} == {name}, row.name
    assert ('input_path' in changed) == (name == 'cache')
  assert source.build(rows[0]).element_spec[0].dtype == tf.float32
  bfloat16 = next(row for row in rows if row.name == 'dtype=bfloat16')
  assert source.build(bfloat16).element_spec[0].dtype == tf.bfloat16


def test_variants_are_what_the_experiment_has_not():
  def names(override, *chosen):
    return [row.name for row in input_rows.variants(
        load(override).task.train_data, chosen)]

  resize = 'task.train_data.tf_resize_method=area,'
  assert names(resize, 'tf_resize_method', 'cache') == [
      'tf_resize_method=bilinear', 'tf_resize_method=bicubic',
      'tf_resize_method=nearest', 'cache=true']
  recipe = resize + 'task.train_data.aug_type.type=autoaug'
  assert names(recipe, 'aug_type') == ['aug_type=null']
  assert names(resize) == []


def test_training_settings_are_not_varied_in_evaluation():
  rows = input_rows.variants(load().task.validation_data)
  assert {name for row in rows for name in row.settings} == set(
      input_rows.SETTINGS) - {
          'shuffle_buffer_size', 'aug_type', 'mixup_and_cutmix'}


def test_an_unknown_variant():
  with pytest.raises(ValueError, match="'colour' is not varied; use decode_j"):
    input_rows.variants(load().task.train_data, ['colour'])


def test_windows_take_turns():
  assert input_rows.turns(['a', 'b', 'c'], 3) == [*'abccbaabc']


def measured(name, *windows, threads=None):
  return input_rows.Measured(
      input_rows.Row(name, threads=threads),
      [input_rows.Window(*window) for window in windows])


PIPELINE = measured(
    'whole', (600, 2.0, 3.0, 1.0), (400, 1.0, 1.6, 3.0), (500, 1.0, 1.5, 2.0))


def test_a_row_in_figures():
  summary = input_report.summarize(PIPELINE, PIPELINE, num_cores=4)
  assert summary == input_report.Summary(
      name='whole', median=400.0, slowest=300.0, fastest=500.0, per_core=100.0,
      cpu_ms=4.0, busy_cores=1.5, first_batch_seconds=2.0, of_pipeline=1.0,
      num_images=1500)


@pytest.mark.parametrize('threads, num_cores, per_core', [
    (None, 4, 75.0), (1, 4, 300.0), (2, 4, 150.0), (8, 4, 75.0)])
def test_per_core(threads, num_cores, per_core):
  row = measured('mine', (300, 1.0, 1.0, 1.0), (900, 3.0, 1.0, 1.0),
                 (100, 1.0, 1.0, 1.0), threads=threads)
  summary = input_report.summarize(row, PIPELINE, num_cores)
  assert summary.per_core == per_core
  # Turn by turn: 300/300, 300/400, 100/500.
  assert summary.of_pipeline == 0.75


def pipeline(median, num_cores, cpu_ms=None, busy_cores=None):
  return input_report.Summary(
      'whole', median=median, per_core=median / num_cores,
      cpu_ms=cpu_ms or 1e3 * num_cores / median, busy_cores=busy_cores)


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
  assert input_report.busy_note(busy, 2) is None
  shared = pipeline(450, 2, busy_cores=1.2)
  assert 'kept 1.2 of 2 cores busy' in input_report.busy_note(shared, 2)


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
    ('', 'no lines with the column layout and images_per_second'),
    ('layout,images_per_second\n', 'no lines with the column layout'),
    ('layout,steps\nB12,3\n', 'no lines with the column images_per_second;'),
    ('layout,images_per_second\nB12,\n', 'no figure for image_size 224'),
    ('layout,mode,images_per_second\nB12,eval,5\n', 'no figure for .*train'),
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


def command(repository, *arguments, **options):
  return commands.run(
      '-m', 'official_ext.benchmarks.input_pipeline', '--warm_up_seconds=0',
      f'--batch_size={BATCH_SIZE}', '--windows=2', '--num_images=8',
      f'--params_override={OVERRIDE}', *arguments, cwd=repository, **options)


def test_the_command(repository, data_dir, tmp_path):
  steps = tmp_path / 'train_step.csv'
  steps.write_text('layout,images_per_second\nB12,0.001\nB4-4-4,1e9\n')
  result = command(
      repository, f'--data_dir={data_dir}', '--variants=dtype,cache',
      '--threads=1', f'--train_step_csv={steps}', f'--output_dir={tmp_path}/a')
  assert result.returncode == 0, result.stderr
  # No progress in a pipe.
  assert result.stderr == ''
  lines = result.stdout.splitlines()
  size = sum(path.stat().st_size for path in data_dir.glob('train-*'))
  assert lines[0] == (
      f'funnel_vit_imagenet, train: 3 files, {size / 1e6:.0f} MB, about 15 '
      'images; to 64 x 64 px, batches of 4')
  assert lines[1].startswith(f'{len(os.sched_getaffinity(0))} CPU core')
  assert lines[1].endswith('windows of 8 images, 2 of each row')
  names = ['reading the records', '+ JPEG decode, whole image',
           'the whole pipeline', 'the same again', '1 thread', 'dtype=bfloat16',
           'cache=true']
  assert [line[:26].strip() for line in lines[4:11]] == names
  assert 'the model is the limit. For the input 1 core would do' in next(
      line for line in lines if line.startswith('B12 consumes 0 images/s'))
  assert 'the input is the limit. It needs' in next(
      line for line in lines if line.startswith('B4-4-4 consumes 1,000,000,'))
  assert lines[-1] == f'written to {tmp_path}/a/input_pipeline.csv'
  table = csv_file.read(tmp_path / 'a' / 'input_pipeline.csv').rows
  assert [line['row'] for line in table] == names
  for line in table:
    assert line['num_images'] == '16'
    speeds = [float(line[f'images_per_second{suffix}'])
              for suffix in ('_min', '', '_max')]
    assert 0 < speeds[0] <= speeds[1] <= speeds[2]
    cores = 1 if line['threads'] else int(line['cores'])
    assert float(line['images_per_second_per_core']) == pytest.approx(
        speeds[1] / cores)


@pytest.mark.long
def test_a_variant_that_does_not_run_is_a_row(repository, tmp_path):
  result = command(
      repository, f'--data_dir={write(tmp_path, "PNG")}', '--split=validation',
      '--variants=decode_jpeg_only', '--params_override='
      f'{OVERRIDE},task.validation_data.decode_jpeg_only=false')
  assert result.returncode == 0, result.stderr
  assert 'decode_jpeg_only=true' + ' ' * 7 + 'does not run: ' in result.stdout


@pytest.mark.parametrize('arguments, message', [
    (['--data_dir=/nowhere'],
     'error: --data_dir=/nowhere holds no train shards (train*). Make them '
     'with python -m data_prep.imagenet_to_tfrecord --input=IMAGES '
     '--output_dir=/nowhere, or name the folder that holds them.\n'),
    (['--data_dir=/nowhere', '--experiment=vit_imagenet_pretrain',
      '--params_override='], "vit_imagenet_pretrain is Model Garden's own."),
    ([], '--data_dir must be given'),
    (['--data_dir=a', '--seconds=1'], 'give --seconds or --num_images'),
    (['--data_dir=a', '--consumes=1', '--train_step_csv=b'],
     'give --consumes or --train_step_csv'),
    (['--data_dir=a', '--consumes=0'], '--consumes is 0, but must be above 0'),
    (['--data_dir=a', '--threads=2,0'], '--threads=2,0: must be positive'),
    (['--data_dir=a', 'b'], "unexpected argument 'b'"),
])
def test_errors_are_for_the_person_who_typed(repository, arguments, message):
  result = command(repository, *arguments)
  assert result.returncode != 0
  assert message in result.stderr + result.stdout
  assert 'Traceback' not in result.stderr


@pytest.mark.long
def test_it_ends_when_its_reader_has_gone(repository, data_dir):
  with subprocess.Popen(
      [sys.executable, '-m', 'official_ext.benchmarks.input_pipeline',
       f'--data_dir={data_dir}', '--windows=1', '--num_images=4',
       '--warm_up_seconds=0', '--variants=', '--batch_size=4',
       f'--params_override={OVERRIDE}'],
      cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'}) as process:
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
  assert (process.returncode, errors) == (1, b'')
