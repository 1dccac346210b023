#!/usr/bin/env bash
# Guards the cost of a push: CPU per request on kept connections against nginx in the same run, at most 1.15 of it (the median of five rounds; the
# aim is 0.95). Only a ratio is judged, so a slow or busy machine does not fail it.
exec bash "$(dirname "${BASH_SOURCE[0]}")/compare/run.sh" --gate
