// Push put|post ADDRESS JOB INSTANCE, by prometheus-net's MetricPusher. It pushes at an interval; one push is waited for.
using System.Net.Http.Headers;
using System.Text;
using Prometheus;

string[] arguments = Environment.GetCommandLineArgs();
CollectorRegistry registry = Metrics.NewCustomRegistry();
Metrics.WithCustomRegistry(registry).CreateGauge("pushed_value", "Pushed by a client.").Set(1);

using HttpClient client = new() { Timeout = TimeSpan.FromSeconds(20) };
if (Environment.GetEnvironmentVariable("PUSH_USER") is { Length: > 0 } user)
{
    string pair = $"{user}:{Environment.GetEnvironmentVariable("PUSH_PASSWORD")}";
    client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(pair)));
}

string scheme = Environment.GetEnvironmentVariable("PUSH_CA") is null ? "http" : "https";
Exception? error = null;
MetricPusher pusher = new(new MetricPusherOptions
{
    Endpoint = $"{scheme}://{arguments[2]}/metrics",
    Job = arguments[3],
    Instance = arguments[4],
    IntervalMilliseconds = 60_000,
    Registry = registry,
    ReplaceOnPush = arguments[1] == "put",
    HttpClientProvider = () => client,
    OnError = exception => error = exception,
});
pusher.Start();
// A stop waits for the push that it has begun, and a pusher always begins one.
await pusher.StopAsync();
// But not for OnError, which it calls from a task of its own.
await Task.Delay(TimeSpan.FromSeconds(1));
Console.WriteLine(error is null ? "no error" : error.Message);
return error is null ? 0 : 1;
