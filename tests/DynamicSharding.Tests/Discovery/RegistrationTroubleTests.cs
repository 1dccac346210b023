using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class RegistrationTroubleTests : IDisposable
{
    private readonly LogCapture _log = new();
    private readonly RegistrationTrouble _trouble;

    public RegistrationTroubleTests() => _trouble = new RegistrationTrouble("pushgateway", "127.0.0.1:8500", _log);

    public void Dispose() => _log.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void It_is_over_when_nothing_is_wrong_any_more(bool isFailureLast)
    {
        Action first = isFailureLast ? _trouble.Kept : _trouble.Succeeded, last = isFailureLast ? _trouble.Succeeded : _trouble.Kept;
        _trouble.Failed(new TimeoutException("no response"));
        _trouble.LostAgain(["10.0.0.1:9091"]);
        first();
        Assert.NotNull(_trouble.Error);
        Assert.Equal(0, _log.Count("registration succeeded again"));
        last();
        Assert.Null(_trouble.Error);
        first();
        last();
        Assert.Equal(1, _log.Count("registration succeeded again"));
    }
}
