"""MB/s of tokenizers and of tiktoken: python tokenizers_rate.py TEXT DIRECTORY ROUNDS prints both, "-" where one cannot."""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def best(encode, text, rounds):
    times = []
    for _ in range(rounds):
        start = time.process_time()
        encode(text)
        times.append(time.process_time() - start)
    return "%.1f" % (len(text.encode()) / min(times) / 1e6)


def by_tokenizers(directory):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def by_tiktoken(directory):
    """Where merges stand in the order of their ids, as GPT-2's do."""
    import tiktoken
    with open(os.path.join(directory, "tokenizer.json"), encoding="utf-8") as file:
        document = json.load(file)
    if document["pre_tokenizer"] is None or document["pre_tokenizer"]["type"] != "ByteLevel":
        return None
    plain = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    alphabet = {chr(b): b for b in plain}
    alphabet.update((chr(256 + i), b) for i, b in enumerate(b for b in range(256) if b not in plain))
    ranks = {bytes(alphabet[c] for c in token): id for token, id in document["model"]["vocab"].items()
             if all(c in alphabet for c in token)}
    encoding = tiktoken.Encoding("x", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    return encoding.encode_ordinary


def main():
    path, directory, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path, encoding="utf-8") as file:
        text = file.read()
    other = by_tiktoken(directory)
    print(best(by_tokenizers(directory), text, rounds), best(other, text, rounds) if other else "-")


main()
