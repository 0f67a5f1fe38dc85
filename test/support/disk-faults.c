/* Preloaded into a server under test: lets the calls that SQLite makes on its files fail while a control file says so.
 *
 * EVERSTEP_FAULTS names a folder. While it holds a file `full`, writes that would make a database file larger or touch
 * its log fail with ENOSPC; `sync` lets syncs fail with EIO; `write` lets writes fail with EIO; `hold` lets a sync do its work and not
 * return, `slow` lets it return 50 ms later. Each fault that fired
 * appends its name to `fired`, so that a test can prove that it tested something. `lie` lets a sync return without
 * having synced, which only a trace can tell; `lie-database` only one of the database, not of its log.
 *
 * EVERSTEP_FAULT_AT="sync 12 eio" lets one call fail, counted from the start of the process: `sync` or `write`, or only
 * those of the database `database-sync` or `database-write`, or `log-resync` (a sync of the log by a thread that
 * does not write it: the copy of the log into the database begins with it); its number, and `kill`, `eio`, `enospc`, `short` (half of the bytes are written, then EIO) or `stop` (the process stops
 * before the call and makes it when it is continued).
 *
 * EVERSTEP_TRACE names a file that gets every write, truncation and sync of the database and its log, in order, each
 * with the instant of the monotonic clock at which it ended, and each call that was to fail (of a full disk none). Images of the disk at a power cut are made from it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int asked(const char *fault) {
  const char *folder = getenv("EVERSTEP_FAULTS");
  char path[4096];
  if (folder == NULL) return 0;
  snprintf(path, sizeof path, "%s/%s", folder, fault);
  return access(path, F_OK) == 0;
}

static void fired(const char *fault) {
  char path[4096];
  snprintf(path, sizeof path, "%s/fired", getenv("EVERSTEP_FAULTS"));
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0) return;
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  char line[64];
  int length = snprintf(line, sizeof line, "%s\n", fault);
  real(fd, line, (size_t)length);
  close(fd);
}

/* Only the database and its log: not the lock, not what node writes. */
static int is_database(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, ".db") != NULL && strstr(path, ".lock") == NULL && strstr(path, "-shm") == NULL;
}

/* 'd' the database, 'l' its log, 'o' another file. */
static char kind_of(int fd) {
  char link[64], name[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, name, sizeof name - 1);
  name[size < 0 ? 0 : size] = 0;
  if (strstr(name, ".partial") != NULL || strstr(name, ".probe") != NULL || strstr(name, "-journal") != NULL) return 'o';
  return strstr(name, "-wal") != NULL ? 'l' : 'd';
}

/* A record: 'w' write, 't' truncation, 's' sync, 'r' sync of the log by a thread that does not write it (which may have
 * begun before a write that stands before it here: no proof for that one), 'l' sync that lied, 'f' the call that was to fail; 'd' database, 'l' log,
 * 'o' another file; nanoseconds; offset; length. */
static void trace(char call, int fd, off64_t offset, const void *data, uint32_t length) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static int out = -1;
  const char *path = getenv("EVERSTEP_TRACE");
  if (path == NULL) return;
  struct timespec now;
  char head[22] = {call, kind_of(fd)};
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  pthread_mutex_lock(&mutex);
  if (out < 0) out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t nanoseconds = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, position = offset;
  memcpy(head + 2, &nanoseconds, 8);
  memcpy(head + 10, &position, 8);
  memcpy(head + 18, &length, 4);
  real(out, head, sizeof head);
  if (data != NULL) real(out, data, length);
  pthread_mutex_unlock(&mutex);
}

/* Whether this call is the one that EVERSTEP_FAULT_AT names; "kill" does not return. */
static int planned(const char *call, int fd, int *count, char action[16]) {
  const char *plan = getenv("EVERSTEP_FAULT_AT");
  char name[16];
  int at;
  if (plan == NULL || sscanf(plan, "%15s %d %15s", name, &at, action) != 3 || strcmp(name, call) != 0) return 0;
  if (__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST) != at) return 0;
  fired(action);
  trace('f', fd, 0, NULL, 0);
  if (strcmp(action, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(action, "stop") == 0) {
    kill(getpid(), SIGSTOP);
    return 0;
  }
  return 1;
}

/* Whether this thread writes the log. A sync by any other is that of a copy into the database. */
static __thread int writes_log;
static int is_resync(int fd) { return kind_of(fd) == 'l' && !writes_log; }

static int write_fails(int fd, const void *data, size_t count, off64_t offset) {
  static int writes, database_writes;
  char action[16];
  if (asked("full") && is_database(fd)) {
    fired("full");
    errno = ENOSPC;
    return 1;
  }
  if (asked("write") && is_database(fd)) {
    fired("write");
    trace('f', fd, offset, NULL, 0);
    errno = EIO;
    return 1;
  }
  if (getenv("EVERSTEP_FAULT_AT") == NULL || !is_database(fd)) return 0;
  if (!planned("write", fd, &writes, action) &&
      (kind_of(fd) != 'd' || !planned("database-write", fd, &database_writes, action)))
    return 0;
  if (strcmp(action, "short") == 0) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    real(fd, data, count / 2, offset);
  }
  errno = strcmp(action, "enospc") == 0 ? ENOSPC : EIO;
  return 1;
}

static int sync_fails(int fd) {
  static int syncs, database_syncs, log_resyncs;
  char action[16], kind = kind_of(fd);
  int failed = asked("sync");
  if (failed) {
    fired("sync");
    trace('f', fd, 0, NULL, 0);
  } else if (planned("sync", fd, &syncs, action)) failed = 1;
  else if (kind == 'd') failed = planned("database-sync", fd, &database_syncs, action);
  else if (is_resync(fd)) failed = planned("log-resync", fd, &log_resyncs, action);
  if (failed) errno = EIO;
  return failed;
}

static ssize_t written(int fd, const void *data, off64_t offset, ssize_t result) {
  if (result <= 0 || !is_database(fd)) return result;
  if (kind_of(fd) == 'l') writes_log = 1;
  trace('w', fd, offset, data, (uint32_t)result);
  return result;
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
  ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
  if (write_fails(fd, data, count, offset)) return -1;
  return written(fd, data, offset, real(fd, data, count, offset));
}
ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) { return pwrite64(fd, data, count, offset); }
ssize_t write(int fd, const void *data, size_t count) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  if (!is_database(fd)) return real(fd, data, count);
  off64_t offset = lseek(fd, 0, SEEK_CUR);
  if (write_fails(fd, data, count, offset)) return -1;
  return written(fd, data, offset, real(fd, data, count));
}
int ftruncate64(int fd, off64_t length) {
  int (*real)(int, off64_t) = dlsym(RTLD_NEXT, "ftruncate64");
  int result = real(fd, length);
  if (result == 0 && is_database(fd)) trace('t', fd, length, NULL, 0);
  return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
static int synced(int fd, const char *name) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  if (!is_database(fd)) return real(fd);
  if (sync_fails(fd)) return -1;
  int lies = asked("lie") || (asked("lie-database") && kind_of(fd) == 'd');
  int result = lies ? 0 : real(fd);
  if (result == 0) trace(lies ? 'l' : is_resync(fd) ? 'r' : 's', fd, 0, NULL, 0);
  if (asked("slow")) {
    fired("slow");
    usleep(50000);
  }
  if (asked("hold")) {
    fired("hold");
    while (asked("hold")) usleep(1000);
  }
  return result;
}
int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
