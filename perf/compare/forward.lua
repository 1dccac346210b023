-- Pushes to a thousand groups. Arguments: the bytes of a body; a field line of each push, if any.
local requests, turn = {}, 0

function init(args)
  local body = "# TYPE bench gauge\n" .. string.rep("bench 1\n", math.ceil(tonumber(args[1]) / 8))
  body = body:sub(1, tonumber(args[1]) - 1) .. "\n"
  for group = 1, 1000 do
    requests[group] = table.concat({
      "PUT /metrics/job/bench/instance/host-" .. group .. " HTTP/1.1",
      "Host: 127.0.0.1", "User-Agent: Go-http-client/1.1", "Content-Type: text/plain; version=0.0.4", "Accept-Encoding: gzip",
      "Content-Length: " .. #body .. (args[2] and "\r\n" .. args[2] or ""), "", body }, "\r\n")
  end
end

function request()
  turn = turn % 1000 + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status, latency:percentile(99)))
end
