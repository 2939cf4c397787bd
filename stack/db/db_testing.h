/* db_testing.h: the sqlite3 program, for tests on real files. */
#ifndef TIMS_DB_TESTING_H
#define TIMS_DB_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/folder_testing.h"

/* Runs the sqlite3 program (missing: apt-get install sqlite3); its exit status. */
TIMS_UNUSED static int run_sqlite3(const char *path, const char *sql)
{
    int how = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execlp("sqlite3", "sqlite3", "-cmd", ".timeout 8000", path, sql, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

#endif
