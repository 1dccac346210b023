using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

public sealed class LoopInboxTests
{
    [Fact]
    public void What_an_action_posts_runs_in_the_next_turn()
    {
        using LoopInbox inbox = new();
        int runs = 0;
        inbox.Post(Again);
        for (int turn = 1; turn <= 3; turn++)
        {
            inbox.RunPosted();
            Assert.Equal(turn, runs);
        }

        void Again()
        {
            if (++runs < 1000) inbox.Post(Again);
        }
    }
}
