using System.Globalization;
using System.Text;
using DynamicSharding.Routing;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Routing;

public sealed class DeleteMailboxTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly Gateway Owner = new("a:9091", [], [], new PerLoopCounter(1));

    private readonly FakeTimeProvider _time = new(Now);

    [Fact]
    public void What_is_noted_is_read_in_order_with_its_time_and_owner()
    {
        DeleteMailbox box = new(_time);
        box.Add("/metrics/job/a"u8, Owner, TimeSpan.FromSeconds(2), isAccepted: true);
        _time.Advance(TimeSpan.FromSeconds(1));
        box.Add("/metrics/job/b"u8, Owner, TimeSpan.Zero, isAccepted: false);

        Assert.Equal(("/metrics/job/a", Now - TimeSpan.FromSeconds(2), true), Take(box));
        Assert.Equal(("/metrics/job/b", Now + TimeSpan.FromSeconds(1), false), Take(box));
        Assert.False(box.TryTake(out _));
        Assert.Equal(0, box.Lost);
    }

    [Fact]
    public void What_finds_no_entry_is_lost_and_counted_and_reading_makes_room()
    {
        DeleteMailbox box = new(_time, entries: 2, bytes: 1024);
        for (int i = 0; i < 3; i++) box.Add(Path(i), Owner, TimeSpan.Zero, isAccepted: true);
        Assert.Equal(1, box.Lost);
        Assert.Equal("/metrics/job/0", Take(box).Path);
        box.Add(Path(3), Owner, TimeSpan.Zero, isAccepted: true);
        Assert.Equal(["/metrics/job/1", "/metrics/job/3"], [Take(box).Path, Take(box).Path]);
        Assert.Equal(1, box.Lost);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(41)]
    [InlineData(55)]
    public void Paths_are_in_one_piece_whatever_the_length_of_the_array(int bytes)
    {
        DeleteMailbox box = new(_time, entries: 16, bytes);
        int written = 0;
        for (int i = 0; i < 500; i++)
        {
            // Two lengths, so that every offset of the array is met.
            int length = 3 + (i % 12);
            string path = new((char)('a' + (i % 26)), length);
            box.Add(Encoding.ASCII.GetBytes(path), Owner, TimeSpan.Zero, isAccepted: true);
            Assert.Equal(path, Take(box).Path);
            written++;
        }

        Assert.Equal((500, 0L), (written, box.Lost));
    }

    [Fact]
    public void A_path_that_does_not_fit_is_lost_and_changes_nothing_else()
    {
        DeleteMailbox box = new(_time, entries: 8, bytes: 32);
        box.Add("/metrics/job/a"u8, Owner, TimeSpan.Zero, isAccepted: true);
        box.Add(new byte[33], Owner, TimeSpan.Zero, isAccepted: true);
        box.Add("/metrics/job/0123456"u8, Owner, TimeSpan.Zero, isAccepted: true);
        box.Add(default, Owner, TimeSpan.Zero, isAccepted: true);
        box.Add("/metrics/job/b"u8, Owner, TimeSpan.Zero, isAccepted: true);
        Assert.Equal(3, box.Lost);
        Assert.Equal(["/metrics/job/a", "/metrics/job/b"], [Take(box).Path, Take(box).Path]);
    }

    [Fact]
    public async Task One_thread_writes_while_another_reads()
    {
        DeleteMailbox box = new(_time, entries: 64, bytes: 1024);
        const int Count = 200_000;
        Task writer = Task.Run(() =>
        {
            Span<byte> path = stackalloc byte[10];
            for (int i = 0; i < Count; i++)
            {
                i.TryFormat(path, out int length, provider: CultureInfo.InvariantCulture);
                box.Add(path[..length], Owner, TimeSpan.Zero, isAccepted: true);
            }
        });

        int last = -1, taken = 0;
        for (bool done = false; !done;)
        {
            done = writer.IsCompleted;
            while (box.TryTake(out SeenDelete delete))
            {
                int number = int.Parse(Encoding.ASCII.GetString(delete.Path), CultureInfo.InvariantCulture);
                Assert.True(number > last, "out of order");
                last = number;
                taken++;
            }
        }

        await writer;
        Assert.Equal(Count, taken + box.Lost);
        Assert.True(taken > 0);
    }

    [Fact]
    public void Noting_allocates_nothing()
    {
        DeleteMailbox box = new(TimeProvider.System, entries: 100_000, bytes: 4 << 20);
        for (int i = 0; i < 1000; i++) box.Add("/metrics/job/a"u8, Owner, TimeSpan.Zero, isAccepted: true);
        Assert.Equal(0, Allocated.By(() =>
        {
            for (int i = 0; i < 10_000; i++) box.Add("/metrics/job/a/instance/b"u8, Owner, TimeSpan.Zero, isAccepted: true);
        }));
        Assert.Equal(0, box.Lost);
    }

    private static byte[] Path(int i) => Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/{i}"));

    private static (string Path, DateTimeOffset At, bool IsAccepted) Take(DeleteMailbox box)
    {
        Assert.True(box.TryTake(out SeenDelete delete));
        Assert.Equal(Owner.Address, delete.Owner);
        return (Encoding.ASCII.GetString(delete.Path), delete.At, delete.IsAccepted);
    }
}
