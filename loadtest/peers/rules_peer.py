"""Times frequent-itemset mining by mlxtend and by Borgelt's pyfim.

    python rules_peer.py BASKETS MIN_COUNT [REPEATS]

BASKETS holds a basket of integer items a line, plain or .xz. Prints one JSON
object: per peer its version, the number of itemsets and the seconds of each
run. Reading the file and, for mlxtend, building the one-hot table are not timed.
Needs: pip install mlxtend==0.25.0 pyfim==6.28
"""

import importlib.metadata
import json
import lzma
import sys
import time


def read(path):
    opener = lzma.open if path.endswith(".xz") else open
    with opener(path, "rt") as lines:
        return [[int(item) for item in line.split()] for line in lines]


def timed(work, repeats):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - start)
    return found, seconds


def pyfim(baskets, count, repeats):
    import fim

    found, seconds = timed(
        lambda: len(fim.fpgrowth(baskets, target="s", supp=-count, zmin=1, report="a")), repeats)
    return {"version": importlib.metadata.version("pyfim"), "itemsets": found, "seconds": seconds}


def mlxtend(baskets, count):
    import pandas
    from mlxtend.frequent_patterns import fpgrowth
    from mlxtend.preprocessing import TransactionEncoder

    encoder = TransactionEncoder()
    table = pandas.DataFrame(encoder.fit(baskets).transform(baskets), columns=encoder.columns_)
    found, seconds = timed(lambda: len(fpgrowth(table, min_support=count / len(baskets))), 1)
    return {"version": importlib.metadata.version("mlxtend"), "itemsets": found, "seconds": seconds}


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    repeats = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    baskets = read(path)
    json.dump({"pyfim": pyfim(baskets, count, repeats), "mlxtend": mlxtend(baskets, count)}, sys.stdout)


if __name__ == "__main__":
    main()
