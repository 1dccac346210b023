"""push.py HANDLER put|post|delete ADDRESS JOB INSTANCE, by the official Python client with the named handler."""
import base64, os, sys

import prometheus_client as prometheus
from prometheus_client import exposition

USER, PASSWORD = os.environ.get('PUSH_USER'), os.environ.get('PUSH_PASSWORD')


def with_requests(url, method, timeout, headers, data):
    """The handler that docs/compatibility.md recommends."""
    import requests

    def handle():
        auth = (USER, PASSWORD) if USER else None
        requests.request(method, url, data=data, headers=dict(headers), timeout=timeout, auth=auth).raise_for_status()

    return handle


def with_credentials(handler):
    """As prometheus_client.exposition.basic_auth_handler does it, which knows the default handler only."""

    def made(url, method, timeout, headers, data):
        if USER:
            token = base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()
            headers = [*headers, ('Authorization', f'Basic {token}')]
        return handler(url, method, timeout, headers, data)

    return made


HANDLERS = {
    'default': with_credentials(exposition.default_handler),
    'passthrough': with_credentials(exposition.passthrough_redirect_handler),
    'requests': with_requests,
}
ACTIONS = {'put': prometheus.push_to_gateway, 'post': prometheus.pushadd_to_gateway, 'delete': prometheus.delete_from_gateway}

handler, action, address, job, instance = sys.argv[1:]
registry = prometheus.CollectorRegistry()
prometheus.Gauge('pushed_value', 'Pushed by a client.', registry=registry).set(1)
scheme = 'https' if 'PUSH_CA' in os.environ else 'http'
arguments = {} if action == 'delete' else {'registry': registry}
try:
    ACTIONS[action](f'{scheme}://{address}', job=job, grouping_key={'instance': instance}, handler=HANDLERS[handler], timeout=20, **arguments)
except Exception as error:
    print(error)
    sys.exit(1)
print('no exception')
