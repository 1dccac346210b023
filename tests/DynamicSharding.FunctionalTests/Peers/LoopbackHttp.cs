namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Clients that ignore the proxy settings of the machine: everything here is on loopback.</summary>
internal static class LoopbackHttp
{
    public static HttpClient Client(string address, bool followRedirects = true) =>
        new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = followRedirects })
        {
            BaseAddress = new Uri($"http://{address}/"),
            Timeout = TimeSpan.FromSeconds(15),
        };

    public static async Task<bool> SucceedsAsync(HttpClient client, string path)
    {
        using HttpResponseMessage response = await client.GetAsync(path);
        return response.IsSuccessStatusCode;
    }
}
