"""`python train.py` is `python -m official_ext.train`."""
from absl import flags

from official_ext import train

if __name__ == '__main__':
  flags.adopt_module_key_flags(train)
  train.run()
