using System.Globalization;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Web;
using Xunit.Abstractions;
using static DynamicSharding.Tests.Web.PushAuthTests;

namespace DynamicSharding.Tests.Web;

/// <summary>What credentials leave behind in memory, which is measured for the whole process.</summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed class PushAuthMemoryTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Distinct_credentials_do_not_collect()
    {
        using PushAuth auth = new(Users(("alice", "x", 4)), TimeProvider.System);
        await VerifyAsync(auth, Basic("alice", "x"));
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < 600; i++) await VerifyAsync(auth, Basic("alice", new string('g', 700) + i.ToString(CultureInfo.InvariantCulture)));

        // More spellings of correct credentials than are remembered.
        string known = Convert.ToBase64String("alice:x"u8);
        for (int i = 0; i < 6000; i++)
        {
            byte[] spelling = Encoding.ASCII.GetBytes("Basic " + new string(' ', i % 100) + new string('\t', i / 100) + known);
            Assert.Equal(AuthVerdict.Allowed, await VerifyAsync(auth, spelling));
        }

        long kept = GC.GetTotalMemory(forceFullCollection: true) - before;
        output.WriteLine($"kept {kept} bytes");

        // A guess is 940 bytes and more, a known spelling about 200.
        Assert.InRange(kept, long.MinValue, 4096 * 250);
    }
}
