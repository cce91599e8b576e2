"""Exports again and again, until it is killed: `killed_export.py RUN EXPORTS`.
"""

import sys

from official_ext.serving import exporter

if __name__ == '__main__':
  print('ready', flush=True)
  while True:
    exporter.export(sys.argv[1], sys.argv[2])
    print('exported', flush=True)
