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
  "paint.lcp":
    "this round's machine ran at half its usual speed (the C program's hot list took 230 µs in the same hour, else 110); the paint waits for all of the page's HTML, so that nothing moves afterwards",
  "paint.script":
    "React DOM alone is 64 KB, React and its scheduler 5, Next's router, loader and polyfills 43: 112 KB before a line of ours. Redux Toolkit and react-redux are 17, the client, the frame and the chat 33. Webpack instead of Turbopack saves 6 KB, Turbopack's experimental flags nothing; less takes another renderer",
  "db.row.limit":
    "half of our CPU is the kernel's, which is as much as in the C program (four fifths of its); the rest is routing, a fiber, the SQL's text, headers and the log, a flat profile in which nothing has more than 3 %",
  "db.row.limit.rate":
    "see db.row.limit: reads that share a transaction save PostgreSQL less than they cost us",
  "db.row.share":
    "a row by key is the cheapest thing PostgreSQL does: 10 to 20 µs, less than HTTP costs any server here; the C program's own share is about 1",
  "db.list.limit":
    "a third of our CPU is the kernel's and a fifth libpq's and libc's, as in C; of the rest a third is rows to JSON (ids, texts, times), and no other part has more than 2 %",
  "db.list.limit.rate": "see db.list.limit",
  "db.create.limit":
    "the C program says all in one statement and one round trip. Ours takes three (begin and the rule; a savepoint, the insert, its release; the commit), of which sending and waiting are 45 % of our CPU and a quarter of PostgreSQL's; the change log's trigger is 8 % of PostgreSQL's",
  "db.create.fastify":
    "Fastify keeps no change log and delivers nothing; it says all in one statement, as the C program does",
  "tasks.sqlite.start.p50":
    "two commits wait for the disk one after the other before it runs, the job's and the claim's: SQLite's writer has one way to commit",
  "tasks.sqlite.serve.start.p50":
    "two commits wait for the disk one after the other before it runs, the job's and the claim's: SQLite's writer has one way to commit",
  "tasks.postgres.start.p50":
    "the job's commit waits for the disk; after it come a look, the claim and the claim's commit, a round trip each",
  "tasks.postgres.serve.start.p50":
    "the job's commit waits for the disk; after it come a look, the claim and the claim's commit, a round trip each",
  "tasks.redis.start.p50":
    "the job is committed in the app's database first, which waits for the disk; then the relay claims it, pushes it and the worker takes it",
  "tasks.redis.serve.start.p50":
    "the job is committed in the app's database first, which waits for the disk; then the relay claims it, pushes it and the worker takes it",
  "tasks.sqlite.start.p99": "the p50's reason, and a disk that others use",
  "tasks.sqlite.serve.start.p99": "the p50's reason, and a disk that others use",
  "tasks.postgres.start.p99": "the p50's reason, and a disk that others use",
  "tasks.postgres.serve.start.p99": "the p50's reason, and a disk that others use",
  "tasks.redis.start.p99": "the p50's reason, and a disk that others use",
  "tasks.redis.serve.start.p99": "the p50's reason, and a disk that others use",
  "pages.mixed.next":
    "each write empties the pages of a chat's three members, and all three are read again before the next: three renders among a hundred requests are two thirds of the CPU, at Next's price and more (8 to 9 ms instead of 7: its caches are shared with ours on one core); most of the rest is the kernel's, sending 25 KB a page",
  "pages.rendered.next":
    "ours is 0.5 to 0.6 ms a page (session, five URLs in one snapshot, 25 KB to the render server and back; a flat profile, all of it with cold caches, since the render server has the same core), the rest is rounds that differ",
};
