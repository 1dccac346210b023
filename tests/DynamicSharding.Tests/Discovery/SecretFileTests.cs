using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class SecretFileTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Content_that_cannot_be_the_secret_leaves_the_last_good_one()
    {
        var file = new SecretFile(_path, static text => ConfigText.UnsendableToken(text) is null);
        Write("first\n");
        Assert.Equal("first", file.Current());
        Write("sec\nond");
        Assert.Equal("first", file.Current());
        Write("third one");
        Assert.Equal("third one", file.Current());
    }

    [Fact]
    public void A_file_that_never_ends_is_not_read_to_its_end() => Assert.NotNull(new SecretFile("/dev/zero").Current());

    private void Write(string text) => File.WriteAllText(_path, text);
}
