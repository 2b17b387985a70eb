"""Run a program with each warning as an error, but for those that begin with one of some sentences.

python strict.py PROGRAM SENTENCE...
"""

import re
import runpy
import sys
import warnings

if __name__ == "__main__":
    warnings.simplefilter("error")
    for sentence in sys.argv[2:]:
        warnings.filterwarnings("ignore", message=re.escape(sentence))
    sys.argv = sys.argv[1:2]
    runpy.run_path(sys.argv[0], run_name="__main__")
