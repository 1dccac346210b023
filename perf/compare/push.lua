-- A push with a 120-byte body. Arguments: requests per write (pipelining), and "close" for one connection per push.
local body = string.rep("bench_metric_total 17\n", 5) .. "bench_b 1\n"

function init(args)
  local depth = tonumber(args[1] or "1")
  local connection = args[2] == "close" and "close" or "keep-alive"
  local one = table.concat({
    "PUT /metrics/job/bench/instance/host-17 HTTP/1.1",
    "Host: 127.0.0.1", "User-Agent: Go-http-client/1.1", "Connection: " .. connection,
    "Content-Type: text/plain; version=0.0.4", "Accept-Encoding: gzip", "Content-Length: " .. #body, "", body }, "\r\n")
  pushes = string.rep(one, depth)
end

function request() return pushes end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d\n", summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
