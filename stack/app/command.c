/* command.c: the command line: a table of commands, and the little that they share. */
#include <stdio.h>
#include <string.h>

#include "app/app_internal.h"
#include "tims/crypto.h"

static const app__command commands[] = {
    { "serve", "", "answer requests",
      "Serves the app on HOST and PORT until SIGTERM; SIGHUP restarts it without losing a request.\n",
      app__serve },
    { "worker", "[--queues A,B] [--concurrency N] [--processes N] [--name NAME] [--no-schedules]",
      "run jobs, without answering requests",
      "Takes jobs from the queues and runs them until SIGTERM, which lets those that run end.\n"
      "  --queues A,B       only of these queues; without it of all\n"
      "  --concurrency N    at once (WORKER_CONCURRENCY)\n"
      "  --processes N      for blocking tasks (WORKER_PROCESSES)\n"
      "  --name NAME        what it is called (WORKER_NAME)\n"
      "  --no-schedules     leave schedules to others\n"
      "`serve` runs a worker too, unless WORKER=false.\n",
      app__worker },
    { "enqueue", "TASK [ARGUMENTS] [--delay SECONDS] [--queue NAME] [--unique KEY] [--priority N]",
      "enqueue a job", "Enqueues a job of the task; ARGUMENTS is a JSON object. Prints the job's id.\n",
      app__enqueue },
    { "task-process", "SOCKET", "run blocking tasks (started by a worker)",
      "What a worker starts for blocking tasks; of no use by itself.\n", app__task_process },
    { "migrate", "[--check] [--allow-destructive] [--wait SECONDS]", "bring the database up to date",
      "Applies the migrations that are pending, each step in a transaction. Many may run it at once.\n"
      "  --check                only say what is pending, edited or drifted; exit status 1 if anything is\n"
      "  --allow-destructive    also those that lose data; a database that is new needs it not\n"
      "  --wait SECONDS         so long at most for a database that cannot be used yet\n",
      app__migrate },
    { "makemigrations", "[--name NAME] [--allow-destructive] [--dry-run]",
      "write migrations for changed models",
      "Compares the models with the committed snapshots and writes the SQL that makes the difference: a "
      "file\n"
      "for SQLite, and one for PostgreSQL (.postgres.sql).\n"
      "  --name NAME            the file's name behind its number\n"
      "  --allow-destructive    write steps that drop tables or columns\n"
      "  --dry-run              only show the SQL\n"
      "A renamed field is recognised by .renamed_from in its descriptor, never guessed.\n",
      app__makemigrations },
    { "copy-database", "SOURCE TARGET [--overwrite]", "copy all data to another database",
      "Copies the rows of all tables, as they are at one moment, and compares counts and checksums.\n"
      "SOURCE and TARGET are written as DATABASE_URL is. The target is migrated first and must be empty.\n"
      "  --overwrite   replace the rows of a target that is not\n"
      "On failure the target's rows are what they were. Exit status 1; 2 if it was called wrongly.\n",
      app__copy_database },
    { "backup", "FILE [--overwrite]", "write the database to a file (SQLite)",
      "Writes the database as it is at one moment, also while it is served, beside FILE; it is checked, "
      "forced to\n"
      "the disk and renamed to FILE. PostgreSQL: pg_dump does that.\n"
      "  --overwrite   replace a FILE that is there\n"
      "Exit status 1 if there is no backup now.\n",
      app__backup },
    { "restore", "FILE", "put a backup in the database's place (SQLite)",
      "Checks the backup (whole, of this app, not newer than the program) and puts it where DATABASE_URL "
      "says; what\n"
      "was there is kept beside it. Stop servers and workers first; while one runs it is refused. Clients "
      "load\n"
      "what they show again. PostgreSQL: pg_restore does that.\n"
      "Exit status 1 if the database is as it was.\n",
      app__restore },
    { "createadmin", "USERNAME", "make a staff user",
      "Makes a user who is staff. The password is read from the terminal, or from standard input.\n",
      app__createadmin },
    { "demo", "", "fill in test users and data",
      "Fills in what the apps' demo functions make. Safe to run again.\n", app__demo },
    { "routes", "", "list every route", "Lists methods, patterns and what they are for.\n",
      app__routes_command },
    { "openapi", "", "the API as an OpenAPI document",
      "Writes the OpenAPI 3.1 document of all endpoints; needs no database. The server has it at "
      "/api/schema.json.\n",
      app__openapi_command },
    { "check", "[--settings]", "check settings, models, rules, routes and migrations",
      "Says what is wrong and what to do; exit status 1 if anything is.\n"
      "  --settings   also print every setting, its value and its meaning\n",
      app__check },
    { "health", "", "ask the server whether it is ready",
      "Asks for /readyz at HOST and PORT; exit status 1 unless the answer is 200. For containers' health "
      "checks.\n",
      app__health },
    { "shell", "[SQL]", "SQL on the app's database",
      "Opens the database's own shell (sqlite3 or psql), or runs one statement.\n", app__shell },
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0], PROCESS_MEMORY_MAX = 256 * 1024 * 1024 };

const char *app__option(int argc, char **argv, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return i + 1 < argc ? argv[i + 1] : NULL;
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    }
    return NULL;
}

bool app__flag(int argc, char **argv, const char *name)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

bool app__number(const app__stack *stack, int argc, char **argv, const char *name, int64_t min, int64_t max,
                 int64_t *value)
{
    const char *text = app__option(argc, argv, name);
    if (text == NULL || tims_str_to_int(tims_str_from(text), min, max, value))
        return true;
    (void)fprintf(stderr, "%s: %s must be a number from %lld to %lld\n", stack->project->name, name,
                  (long long)min, (long long)max);
    return false;
}

const char *app__word(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (argv[i][0] != '-')
            return argv[i];
    return NULL;
}

int app__complain(const app__stack *stack, const tims_error *err)
{
    (void)fprintf(stderr, "%s: %s\n", stack->project->name, err->message);
    if (err->detail[0] != '\0')
        (void)fprintf(stderr, "  (%s)\n", err->detail);
    for (const tims_field_error *field = err->fields; field != NULL; field = field->next)
        (void)fprintf(stderr, "  %.*s: %.*s\n", TIMS_PRINT(field->pointer), TIMS_PRINT(field->message));
    return 1;
}

static int print_help(FILE *out, const tims_project *project)
{
    (void)fprintf(out, "%s %s\n\nUsage: %s COMMAND [options]\n\n", project->name, project->version,
                  project->name);
    for (int i = 0; i < COMMAND_COUNT; i++)
        (void)fprintf(out, "  %-15s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(out,
                  "\n%s COMMAND --help says more. Settings come from the environment and .env; "
                  "`%s check --settings` lists them.\n",
                  project->name, project->name);
    return out == stdout ? 0 : 2;
}

static const app__command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int run_command(const app__command *command, const tims_project *project, int argc, char **argv)
{
    app__stack stack = { .project = project };
    stack.arena = tims_arena_new(PROCESS_MEMORY_MAX, NULL, NULL);
    int exit_status = 2;
    if (tims_crypto_setup() != TIMS_OK)
        (void)fprintf(stderr, "%s: libsodium does not start\n", project->name);
    else if (app__load_settings(&stack))
        exit_status = command->run(&stack, argc, argv);
    app__close(&stack);
    tims_log_flush();
    tims_arena_free(&stack.arena);
    return exit_status;
}

int tims_main(int argc, char **argv, const tims_project *project)
{
    if (argc < 2)
        return print_help(stderr, project);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return print_help(stdout, project);
    if (strcmp(argv[1], "--version") == 0)
        return printf("%s %s\n", project->name, project->version) < 0;
    const app__command *command = find_command(argv[1]);
    if (command == NULL) {
        (void)fprintf(stderr, "%s: there is no command \"%s\"; `%s --help` lists them\n", project->name,
                      argv[1], project->name);
        return 2;
    }
    if (app__flag(argc - 2, argv + 2, "--help"))
        return printf("%s %s %s: %s\n\n%s", project->name, command->name, command->arguments,
                      command->summary, command->help) < 0;
    return run_command(command, project, argc - 2, argv + 2);
}
