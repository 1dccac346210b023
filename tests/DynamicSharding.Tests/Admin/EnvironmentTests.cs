namespace DynamicSharding.Tests.Admin;

[Collection(EnvironmentTestGroup.Name)]
public sealed class EnvironmentTests
{
    private static readonly string[] Names = ["ASPNETCORE_URLS", "DOTNET_URLS", "URLS", "Kestrel__Endpoints__Http__Url"];

    [Fact]
    public async Task The_environment_has_no_say_in_where_the_listener_is()
    {
        foreach (string name in Names) Environment.SetEnvironmentVariable(name, "http://127.0.0.1:1");
        try
        {
            await using AdminFixture admin = await new AdminFixture().StartAsync();
            Assert.NotEqual(1, admin.Listener.Port);
            Assert.Equal("OK\n", await admin.Client.GetStringAsync("/-/healthy"));
        }
        finally
        {
            foreach (string name in Names) Environment.SetEnvironmentVariable(name, null);
        }
    }
}
