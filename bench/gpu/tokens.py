"""Write tokens as uint16, as frequent as words are: word k about 1 / (k + 1).  usage: tokens.py WORDS N FILE"""
import array
import bisect
import itertools
import random
import sys

words, n, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
random.seed(7)
sums = list(itertools.accumulate(1 / (k + 1) for k in range(words)))
tokens = array.array("H", (min(bisect.bisect(sums, random.random() * sums[-1]), words - 1) for _ in range(n)))
with open(path, "wb") as file:
    tokens.tofile(file)
