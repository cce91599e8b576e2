"""Exports again and again, until it is killed: `killed_export.py RUN EXPORTS`.
"""

import sys

from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.trained import trained_model

if __name__ == '__main__':
  print('ready', flush=True)
  while True:
    write.export(
        trained_model.find(sys.argv[1]), names.SAVED_MODEL, sys.argv[2])
    print('exported', flush=True)
