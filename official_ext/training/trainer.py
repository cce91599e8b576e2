"""Model Garden's trainer, which also measures and tells its progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time
from typing import Any

from official.core import base_trainer
from official.modeling import optimization
import orbit
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import choose
from official_ext.checkpoints import metadata
from official_ext.checkpoints import resume
from official_ext.optimization import frozen_backbone
from official_ext.tasks import protocol
from official_ext.training import confusion_counts
from official_ext.training import data_position
from official_ext.training import divergence
from official_ext.training import early_stopping
from official_ext.training import evaluations
from official_ext.training import event_tags
from official_ext.training import goodput
from official_ext.training import input_waiting
from official_ext.training import memory
from official_ext.training import preemption
from official_ext.training import profiling
from official_ext.training import progress as progress_lib
from official_ext.training import recovery
from official_ext.training import strategies
from official_ext.training import summaries
from official_ext.training import throughput
from official_ext.training import training_images


class Trainer(base_trainer.Trainer):
  """Trains and evaluates as Model Garden does, with these additions.

  - Every checkpoint carries the metadata of its model.
  - The first step runs alone, since it compiles; the others are timed.
  - TensorBoard gets the throughput of the steps alone, and peak memory.
  - Evaluation counts every image once.
  - A loop is run in chunks of about a second, so that progress moves.
  - A few steps are profiled if asked for; they are not timed.
  - Between two chunks, or two batches of an evaluation, it can be interrupted.
  - A training that diverges is noticed before anything of it is saved.
  """

  def __init__(self, config, task, model, optimizer, *args,
               progress: progress_lib.Progress,
               watch: preemption.Watch,
               profiler: profiling.Profiler | None = None,
               on_best: Callable[[], None] | None = None,
               model_dir: str | None = None, allow_changes: bool = False,
               position: Mapping[str, Any] | None = None,
               stopwatch: goodput.Stopwatch | None = None,
               history: goodput.History | None = None,
               waiting: input_waiting.InputWaiting | None = None,
               images: training_images.TrainingImages | None = None, **kwargs):
    """Initialises the trainer.

    Args:
      config: the experiment's configuration.
      task: the task.
      model: the model.
      optimizer: the optimizer.
      *args: of Model Garden's trainer.
      progress: what to tell about the progress.
      watch: knows whether the run is to be interrupted.
      profiler: takes a profile of a few steps; None: nothing is profiled.
      on_best: what to call when an evaluation is over and a best checkpoint
        there, new or not.
      model_dir: folder of the training, whose newest checkpoint to begin
        from if the folder that this worker writes to has none.
      allow_changes: whether what a checkpoint lacks may begin anew.
      position: where the training begins in its data; None: it does not train.
      stopwatch: measures where the time goes; None: from now on.
      history: notes where the time went; None: nothing is noted.
      waiting: measures the waiting for input; None: it counts as steps.
      images: keeps the first that are trained on; None: none are.
      **kwargs: of Model Garden's trainer.
    """
    super().__init__(config, task, model, optimizer, *args, **kwargs)
    frozen_backbone.prepare(self.optimizer, self.model)
    self._num_images = tf_keras.metrics.Sum(
        event_tags.NUM_IMAGES, dtype=tf.float32)
    self.progress = progress
    self._profiler = profiler
    self._on_best = on_best
    self._model_dir = model_dir
    self._allow_changes = allow_changes
    self._trains = kwargs.get('train', True)
    if self._trains and task.teacher:
      task.teacher.begin(task.task_config.distillation, model)
    self.stopwatch = stopwatch or goodput.Stopwatch()
    self._history = history
    self._waiting = waiting
    self.images = images
    self.confusion = confusion_counts.create(config)
    self._has_begun = self._has_foretold = self.is_stopped_early = False
    self._watch = watch
    self._mean_over_workers = strategies.mean_over_workers(self.strategy)
    self.throughput = throughput.Throughput(
        config.task.train_data.global_batch_size)
    self.numbers = divergence.Checks(
        config.trainer, self.strategy, self.model, self.optimizer,
        self._learning_rate)
    self.recovered = recovery.Recovered()
    self.train_logs: dict[str, float] = {}
    self.validation_logs: dict[str, float] = {}
    # Anew, and not as an attribute of Model Garden's: an asynchronous
    # checkpoint saves only what the constructor was given.
    self._checkpoint = tf.train.Checkpoint(
        global_step=self.global_step,
        model=self.model,
        optimizer=self.optimizer,
        recovery=self.recovered.saved,
        **getattr(self.model, 'checkpoint_items', {}),
        **{metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata({
            **metadata.describe(config, task.data_description),
            **({data_position.KEY: position} if position else {})})})

  def initialize(self):
    """Begins from the checkpoint of the training, or else as Model Garden."""
    checkpoint = self._model_dir and choose.newest(self._model_dir)
    if checkpoint:
      self.restore(checkpoint)
    else:
      super().initialize()
      if self._trains:
        # Made by the first step, they would have TensorFlow trace it twice.
        resume.make_variables(self.optimizer, self.model)

  def restore(self, checkpoint: str) -> None:
    """Goes on from a checkpoint; the strategy's scope must be entered.

    Args:
      checkpoint: its prefix.

    Raises:
      LoadError: if it lacks what this run goes on with.
    """
    if self._trains:
      with self.stopwatch.measure(goodput.CHECKPOINTS):
        resume.restore(self.checkpoint, checkpoint, self.model, self.optimizer,
                       self._allow_changes)
    else:
      resume.check_averages(checkpoint, self.optimizer)
      self.checkpoint.restore(checkpoint)

  def stop_early(self, step: int, reason: str) -> None:
    """Notes and tells that the training is over before its last step."""
    self.is_stopped_early = True
    if self._history and self._has_begun:
      self._history.stop_early(step)
    self.progress.interval(step, early_stopping.message(
        self.config.trainer.train_steps - step, reason, self._has_begun))

  def train_step(self, iterator):
    """Takes a step as Model Garden does, and records its numbers."""
    step = self._compiled(self.task.train_step)

    def step_fn(inputs):
      loss = step(inputs, model=self.model, optimizer=self.optimizer,
                  metrics=self.train_metrics)[self.task.loss]
      self._train_loss.update_state(loss)
      self.numbers.record(loss, self.global_step)
      self.global_step.assign_add(1)

    def next_inputs():
      return self.next_train_inputs(iterator)

    inputs = (self._waiting.take(next_inputs, self.optimizer.iterations)
              if self._waiting else next_inputs())
    if self.images:
      self.images.keep(inputs)
    self.strategy.run(
        step_fn, args=(inputs,), options=self._runtime_options)

  def _compiled(self, step: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a step as XLA compiles it, where that is asked for."""
    runtime = self.config.runtime
    if runtime.enable_xla and runtime.num_gpus > 0:
      return tf.function(step, jit_compile=True)
    return step

  def forget(self) -> None:
    """Forgets what it measured: the training has gone back to a checkpoint."""
    for metric in [self.train_loss, *self.train_metrics]:
      metric.reset_states()
    self.numbers.reset()
    if self._history:
      self._history.begin(int(self.global_step.numpy()))

  def create_train_loop_fn(self) -> Callable[..., None]:
    """Wraps Orbit's loop so that it is timed and reports its progress."""
    loop_fn = super().create_train_loop_fn()
    step_fn = self.train_step
    if self.config.trainer.train_tf_function:
      step_fn = tf.function(step_fn)

    def timed_loop(iterator, num_steps):
      remaining = int(num_steps)
      step = int(self.global_step.numpy())
      self.throughput.begin_loop()
      while remaining:
        self._watch.check()
        is_first = self.throughput.compile_seconds is None
        profiled, profile = 0, None
        if is_first:
          chunk = 1
          self.progress.compiling()
        else:
          if self._profiler:
            profiled = self._profiler.chunk(step, remaining)
          chunk = profiled or min(remaining, self._steps_until_update())
        start = time.perf_counter()
        if profiled:
          self.progress.compiling()
          profile = self._profiler.run(
              lambda: step_fn(iterator), self.train_loss.result, step, chunk)
        else:
          loop_fn(iterator, tf.constant(chunk, tf.int32))
        # Also waits for the device to finish.
        step = int(self.global_step.numpy())
        loss = float(self.train_loss.result())
        seconds = time.perf_counter() - start
        self._add_time(
            goodput.COMPILATION if is_first else goodput.STEPS, seconds)
        self.numbers.check_steps()
        if is_first:
          self.throughput.add_first_step(seconds)
          if self.images:
            self.images.show()
        elif not profiled:
          self.throughput.add(chunk, seconds)
        remaining -= chunk
        steps_per_second = self.throughput.loop_steps_per_second
        self.progress.trained(
            step, loss, self._learning_rate(step), steps_per_second,
            self.throughput.images_per_second(steps_per_second))
        if profile:
          self.progress.interval(step, profile)

    return timed_loop

  def train_loop_begin(self):
    super().train_loop_begin()
    self.numbers.begin_loop(int(self.global_step.numpy()))
    if not self._has_begun:
      self._has_begun = True
      self.stopwatch.begin_training()
      step = int(self.global_step.numpy())
      if self._history:
        self._history.begin(step)
      self.progress.begin(step, self.config.trainer.train_steps)

  def train_loop_end(self) -> dict[str, Any]:
    logs = super().train_loop_end()
    step = int(self.global_step.numpy())
    self.numbers.check_loss(
        step, summaries.as_float(logs[self._train_loss.name]))
    logs.update(self.numbers.check_weights(step))
    if self.config.trainer.recovery_max_trials > 0:
      logs[event_tags.RECOVERIES] = self.recovered.count
    self.train_logs = summaries.as_floats(logs)
    text = progress_lib.format_metrics(self.train_logs, self.task.metrics())
    steps_per_second = self.throughput.loop_steps_per_second
    if steps_per_second:
      images_per_second = self.throughput.images_per_second(steps_per_second)
      logs[event_tags.STEPS_PER_SECOND] = steps_per_second
      logs[event_tags.IMAGES_PER_SECOND] = images_per_second
      text += f'  {images_per_second:.0f} images/s'
    peak = memory.measure()
    if peak.gib is not None:
      logs[event_tags.PEAK_MEMORY] = peak.gib
    if self._history:
      self.note_time()
      logs.update(event_tags.of_time(self.time_totals()))
    self.progress.interval(step, f'train: {text}')
    if not self._has_foretold and steps_per_second:
      self._has_foretold = True
      forecast = progress_lib.foretell(
          self.config.trainer.train_steps - step, steps_per_second)
      if forecast:
        self.progress.interval(step, forecast)
    return logs

  def _add_time(self, phase: str, seconds: float) -> None:
    """Takes the time of steps, and what of it was waiting for their input."""
    waited = min(self._waiting.since_last(), seconds) if self._waiting else 0.0
    self.stopwatch.add(goodput.INPUT, waited)
    self.stopwatch.add(phase, seconds - waited)

  def note_time(self) -> None:
    """Notes where the time went until now, if steps were taken."""
    if self._history and self._has_begun:
      self._history.reach(int(self.global_step.numpy()))

  def time_totals(self) -> goodput.Totals:
    """Returns where the time went, over all starts of the training."""
    return self._history.totals() if self._history else goodput.total([])

  def eval_begin(self):
    super().eval_begin()
    for metric in [self._num_images, *self.confusion]:
      metric.reset_states()

  def eval_step(self, iterator):
    """Evaluates a batch; every image has the same weight in the loss."""
    step = self._compiled(self.task.validation_step)

    def step_fn(inputs):
      logs = step(inputs, model=self.model,
                  metrics=[*self.validation_metrics, *self.confusion])
      num_images = logs.pop(protocol.NUM_EXAMPLES)
      self._validation_loss.update_state(
          logs[self.task.loss], sample_weight=num_images)
      self._num_images.update_state(num_images)
      return logs

    inputs, _ = self.next_eval_inputs(iterator)
    outputs = self.strategy.run(step_fn, args=(inputs,))
    return tf.nest.map_structure(
        self.strategy.experimental_local_results, outputs)

  def eval_end(self, aggregated_logs=None):
    # Before Model Garden takes it for the best so far.
    values = summaries.as_floats({
        metric.name: metric.result()
        for metric in [self.validation_loss, *self.validation_metrics]})
    self.numbers.check_evaluation(int(self.global_step.numpy()), values)
    logs = super().eval_end(aggregated_logs)
    exporter = self.checkpoint_exporter
    # Model Garden's exporter keeps the logs of the best evaluation. A training
    # may have ended between those of an earlier start and their export.
    if self._on_best and exporter and (
        self._trains or exporter.best_ckpt_logs is logs):
      self._on_best()
    num_images = self._num_images.result()
    if num_images > 0:
      logs[event_tags.NUM_IMAGES] = num_images
    return logs

  def create_eval_loop_fn(self, has_state: bool) -> Callable[..., Any]:
    """Lets an evaluation be interrupted between two batches.

    Args:
      has_state: whether the loop takes a state.

    Returns:
      The loop.
    """
    if self.config.trainer.eval_tf_while_loop:
      return super().create_eval_loop_fn(has_state)
    step_fn = self.eval_step
    if self.config.trainer.eval_tf_function:
      step_fn = tf.function(step_fn)

    def watched_step(iterator):
      self._watch.check()
      return step_fn(iterator)

    return orbit.utils.create_loop_fn(watched_step)

  def evaluate(self, num_steps: tf.Tensor) -> orbit.runner.Output | None:
    self.progress.evaluating()
    try:
      with self.stopwatch.measure(goodput.EVALUATION):
        output = super().evaluate(num_steps)
    except preemption.Interrupt:
      # As `eval_begin` swapped them: the weights are to be saved as trained.
      if isinstance(self.optimizer, optimization.ExponentialMovingAverage):
        self.optimizer.swap_weights()
      raise
    self.validation_logs = summaries.as_floats(output or {})
    if self.config.trainer.validation_steps == -1:
      evaluations.check_count(
          self.validation_logs, self.config.task.validation_data.num_examples)
    text = progress_lib.format_metrics(
        self.validation_logs, progress_lib.with_deciding(
            self.task.metrics(), self.config.trainer))
    self.progress.interval(
        int(self.global_step.numpy()), f'validation: {text}')
    return output

  def _steps_until_update(self) -> int:
    """Returns a number of steps on which all workers, synchronised, agree."""
    return max(1, round(self._mean_over_workers(
        self.throughput.steps_until_update())))

  def _learning_rate(self, step: int) -> float:
    learning_rate = self.optimizer.learning_rate
    if callable(learning_rate):
      learning_rate = learning_rate(step)
    return summaries.as_float(learning_rate)
