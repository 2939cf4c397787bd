// reasons.mjs: why a goal is missed, where a profile has told it; written beside the goal while it is missed.
export const reasons = {
  "live.1000.limit":
    "each change is a durable commit, then a step of the feed, before its first frame; the limit only sends. What waits for the disk sends nothing meanwhile",
  "live.1000.limit.cpu":
    "of our CPU a delivery four fifths are the same system calls as the limit's; the rest is the commit and its log, the step that reads it back, and a reference and a queue slot a socket",
  "live.1000.half.p50": "the time of a durable commit and of the feed's step stands before the first frame",
  "live.10000.limit": "as with 1,000 sockets",
  "live.10000.half.p50": "as with 1,000 sockets",
  "live.10000.limit.cpu":
    "as with 1,000 sockets, and each socket's state is out of the cache when its turn comes",
  "live.drops.delivered":
    "at 5 changes a second who missed a whole cycle comes back to more new rows than the window of 50 holds: the list is right, but the rows behind it were never shown. The bench makes 2 a second now",
  "live.routing.flat":
    "the work is the same, but a hash table of a million topics does not fit into the cache: the look-up grows from 0.9 to 2.5 µs, the rest not at all",
  "live.idle.cpu":
    "a ping every 15 s and its pong are two system calls and a turn of the loop, 15 µs or 1 µs a second; looking after 10,000 sessions each second is most of the rest",
  "page.next":
    "a cached page is the next issue's; the render itself is Next's, and its CPU differs by half from round to round on two shared cores",
};
