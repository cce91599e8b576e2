"""The names under which a training writes what it measures of itself.

The others, such as training_loss and accuracy, are Model Garden's.
"""

STEPS_PER_SECOND = 'throughput/steps_per_second'
IMAGES_PER_SECOND = 'throughput/images_per_second'
PEAK_MEMORY = 'memory/peak_gib'
# Images that an evaluation counted.
NUM_IMAGES = 'num_images'
