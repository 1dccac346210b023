"""Runs this repository's load generator on the second core."""
import json, os, subprocess, sys
from child import HERE, LOAD_CORE

ROOT = os.path.dirname(os.path.dirname(HERE))
GENERATOR = os.path.join(ROOT, 'perf/DynamicSharding.LoadTests/bin/Release/net10.0/DynamicSharding.LoadTests.dll')


def generate(port, scenario, folder, options):
    """The report's only population. Its thresholds are for CI; here only a broken run counts."""
    run = subprocess.run(['taskset', '-c', LOAD_CORE, 'dotnet', GENERATOR, '--url', f'127.0.0.1:{port}', '--scenario', scenario, '--report-dir', folder]
                         + options, capture_output=True, text=True)
    if run.returncode not in (0, 1):
        sys.exit(f'the load generator failed:\n{run.stdout}\n{run.stderr}')
    name = os.path.splitext(os.path.basename(scenario))[0]
    return json.load(open(os.path.join(folder, name + '.json')))['scenarios'][0]
