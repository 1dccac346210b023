// push.js put|post|delete ADDRESS JOB INSTANCE, by Node's prom-client.
'use strict';
const { Gauge, Pushgateway, Registry } = require('prom-client');

const [action, address, jobName, instance] = process.argv.slice(2);
const { PUSH_CA, PUSH_USER, PUSH_PASSWORD } = process.env;
const registry = new Registry();
new Gauge({ name: 'pushed_value', help: 'Pushed by a client.', registers: [registry] }).set(1);

const options = { timeout: 20000, ...(PUSH_USER && { auth: `${PUSH_USER}:${PUSH_PASSWORD}` }) };
const gateway = new Pushgateway(`${PUSH_CA ? 'https' : 'http'}://${address}`, options, registry);
const push = { put: 'push', post: 'pushAdd', delete: 'delete' }[action];
gateway[push]({ jobName, groupings: { instance } }).then(
    ({ resp }) => console.log(`resolved, status ${resp.statusCode}`),
    (error) => {
        console.log(error.message);
        process.exitCode = 1;
    },
);
