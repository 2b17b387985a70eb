"""Make a LanceDB table `clips` in the folder `data` here: even rows are voice, a feature is ten times the row's offset.

It is a program of its own, as a process that has imported LanceDB is not to be forked.
"""

import lancedb
import pyarrow as pa

CLIPS = 400

if __name__ == "__main__":
    names = [("voice", "music")[offset % 2] for offset in range(CLIPS)]
    features = [[10.0 * offset, 1.0] for offset in range(CLIPS)]
    lancedb.connect("data").create_table("clips", pa.table({"category": names, "features": features}))
