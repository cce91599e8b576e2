"""One of two workers is lost: the job ends, and resumes when started again."""

import shutil
import time

import event_files
import pytest
import tensorflow as tf
import workers

# Far more than it takes; a job that hangs would take for ever.
TIMEOUT_SECONDS = 240


def start(digits_dir, tmp_path, repository, train_steps, folder='run'):
  return workers.start(
      2, '--experiment=funnel_vit_digits', '--mode=train',
      # The second job has fewer steps, so that the test comes to an end.
      '--allow_changes',
      f'--model_dir={tmp_path}/{folder}', '--params_override=' + ','.join([
          f"task.data_dir='{digits_dir}'",
          "task.model.backbone.funnel_vit.layout='B1-1'",
          'task.train_data.global_batch_size=16', 'trainer.steps_per_loop=20',
          'trainer.checkpoint_interval=20',
          f'trainer.train_steps={train_steps}',
          'trainer.optimizer_config.warmup.linear.warmup_steps=5',
          'runtime.distribution_strategy=multi_worker_mirrored']),
      cwd=repository, log_dir=tmp_path)


def wait_for_checkpoint(folder, processes):
  """Waits until there is a checkpoint; returns its step."""
  while not (path := tf.train.latest_checkpoint(folder)):
    assert all(process.poll() is None for process in processes)
    time.sleep(0.1)
  return int(path.rsplit('-', maxsplit=1)[1])


@pytest.mark.long
@pytest.mark.parametrize('lost', [1, 0])
def test_a_lost_worker(digits_dir, tmp_path, repository, lost):
  processes = start(digits_dir, tmp_path, repository, 1_000_000)
  try:
    wait_for_checkpoint(tmp_path / 'run', processes)
    processes[lost].kill()
    code = processes[1 - lost].wait(TIMEOUT_SECONDS)
  finally:
    for process in processes:
      process.kill()
  log = (tmp_path / f'worker-{1 - lost}.txt').read_text()
  assert code == 75, log
  # Not always the last line: a thread of TensorFlow that watches for
  # preemption may end with a traceback of its own at the same moment.
  message, = (line for line in log.splitlines()
              if line.startswith('error: another worker was lost'))
  assert message.endswith(
      '. Start all workers again with the same command: they resume from '
      f'the newest checkpoint in {tmp_path}/run.')

  step = wait_for_checkpoint(tmp_path / 'run', [])
  processes = start(digits_dir, tmp_path, repository, step + 40)
  codes = [process.wait(TIMEOUT_SECONDS) for process in processes]
  logs = [(tmp_path / f'worker-{index}.txt').read_text() for index in (0, 1)]
  assert codes == [0, 0], '\n'.join(logs)
  losses = event_files.scalars(tmp_path / 'run' / 'train')['training_loss']
  assert sorted(losses)[-2:] == [step + 20, step + 40]
  assert max(losses) == step + 40


@pytest.mark.long
def test_workers_that_do_not_share_their_folder(
    digits_dir, tmp_path, repository):
  for folder, steps in (('run', 20), ('run-WORKER', 40)):
    processes = start(digits_dir, tmp_path, repository, steps, folder)
    codes = [process.wait(TIMEOUT_SECONDS) for process in processes]
    if folder == 'run':
      assert codes == [0, 0]
      shutil.copytree(tmp_path / 'run', tmp_path / 'run-0')
  assert codes == [1, 1]
  for index in (0, 1):
    log = (tmp_path / f'worker-{index}.txt').read_text()
    assert (f'error: the workers found different checkpoints in {tmp_path}/run-'
            f'{index}, of the steps 0, 20. It must') in log
