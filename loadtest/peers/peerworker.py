"""The worker's side of the protocol that loadtest/peers speaks: a JSON line in, a JSON line out.

A peer is a Python file that calls serve(name, jobs). jobs maps a job's name to a function that
takes the sizes and returns a Job.
"""

import json
import sys
import time

BATCH_SECONDS = 200e-6


class Job:
    """Work to be timed.

    run(n) does n operations. reset(), when given, restores the input for `limit` operations and is
    not timed. overhead(n) does n times what run spends on calling instead of on the work; its time
    is subtracted, so that the peer does not pay for Python.
    """

    def __init__(self, run, overhead=None, reset=None, limit=None):
        self.run, self.overhead, self.reset, self.limit = run, overhead, reset, limit
        self.count = 1

    def _time(self, f, n):
        start = time.perf_counter()
        f(n)
        return time.perf_counter() - start

    def batch(self):
        """Seconds an operation takes, over a batch of at least BATCH_SECONDS."""
        spent = ops = 0
        while spent < BATCH_SECONDS:
            n = self.limit or self.count
            if self.reset:
                self.reset()
            t = self._time(self.run, n)
            if not self.limit and t < BATCH_SECONDS:
                self.count *= 2
                spent = ops = 0
                continue
            spent += t
            ops += n
        seconds = spent / ops
        if self.overhead:
            n = max(ops, 32)
            seconds -= min(self._time(self.overhead, n) for _ in range(3)) / n
        return seconds


def serve(name, jobs):
    """Answers requests on standard input until it ends."""
    built = {}

    def answer(request):
        key = json.dumps([request["job"], request["params"]], sort_keys=True)
        if key not in built:
            built[key] = jobs[request["job"]](**request["params"])
        job = built[key]
        job.batch()
        return {"seconds": [job.batch() for _ in range(request["batches"])]}

    print(json.dumps({"name": name}), flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as e:  # the other side reports it
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), flush=True)
