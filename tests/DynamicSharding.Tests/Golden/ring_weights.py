#!/usr/bin/env python3
"""Prints ring-weights.tsv: owners on a ring with weights, from the definition alone and without this program's code.

A gateway of weight w has the points murmur3_32("<i><host:port>") for i from 0 to 500 * w - 1. The owner of a key is the gateway of the first
point greater than the key's hash, or of the first point of all. Where two gateways have the same point, the one that sorts later has it.
"""
import bisect
import random

REPLICAS = 500


def murmur3_32(data):
    def rotl(x, r):
        return ((x << r) | (x >> (32 - r))) & 0xFFFFFFFF

    h = 0
    end = len(data) - len(data) % 4
    for i in range(0, end, 4):
        k = int.from_bytes(data[i:i + 4], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        h = (rotl(h ^ (rotl(k, 15) * 0x1B873593 & 0xFFFFFFFF), 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    if len(data) > end:
        k = int.from_bytes(data[end:], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        h ^= rotl(k, 15) * 0x1B873593 & 0xFFFFFFFF
    h ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = ((h ^ (h >> shift)) * factor) & 0xFFFFFFFF
    return h ^ (h >> 16)


def main():
    rng = random.Random(16)
    weights = {f"10.0.0.{i}:9091": weight for i, weight in enumerate((1, 2, 3, 1, 10, 100, 1, 5, 2, 1), start=1)}
    points = {}
    for node in sorted(weights):
        for i in range(REPLICAS * weights[node]):
            points[murmur3_32(f"{i}{node}".encode())] = node
    order = sorted(points)
    total = REPLICAS * sum(weights.values())
    print(f"# nodes {len(weights)} replicas {REPLICAS} weight {sum(weights.values())}, {total - len(order)} points collide")
    for node in sorted(weights):
        print(f"node\t{node}\t{weights[node]}")
    for i in range(1500):
        path = f"/metrics/job/job{rng.randrange(10**6)}/instance/i{i}"
        place = bisect.bisect_right(order, murmur3_32(path.encode()))
        print(f"{path}\t{points[order[place % len(order)]]}")


main()
