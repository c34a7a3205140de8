"""The most frequent words of standard input; the number of words to show as argument."""

import collections
import re
import sys

wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10
words = collections.Counter(re.findall(r"\w+", sys.stdin.read().lower()))
for word, count in words.most_common(wanted):
    print(f"{count:6} {word}")
