"""Unpacks the Milvus server of the Python package once and writes a configuration.

Usage: python - DATA_DIR LIB_DIR [key=value ...]; prints the settings as JSON. The package moves to
another port when one is taken, so the ports that count are those it prints.
"""

import json
import os
import sys

import milvus

data, lib = map(os.path.abspath, sys.argv[1:3])
milvus._initialize_data_files(lib)  # writes lib/bin
config = milvus.MilvusServerConfig(data_dir=data)
for pair in sys.argv[3:]:
    key, value = pair.split("=", 1)
    kind = config.configurable_items.get(key, (str,))[0]
    config.set(key, value == "true" if kind is bool else kind(value))
config.resolve()
print(json.dumps({k: v[1] for k, v in config.configurable_items.items()}))
