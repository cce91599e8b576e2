"""`python train.py` is `python -m official_ext.train`."""
from official_ext import train

if __name__ == '__main__':
  train.run()
