/* Preloaded into a server under test: lets the calls that SQLite makes on its files fail while a control file says so.
 *
 * EVERSTEP_FAULTS names a folder. While it holds a file `full`, writes that would make a database file larger or touch
 * its log fail with ENOSPC; `sync` lets syncs fail with EIO; `write` lets writes fail with EIO; `hold` lets a sync do its work and not
 * return, `slow` lets it return 50 ms later. Each fault that fired
 * appends its name to `fired`, so that a test can prove that it tested something. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
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
  return strstr(path, ".db") != NULL && strstr(path, ".lock") == NULL;
}

static int write_fails(int fd) {
  if (asked("full") && is_database(fd)) {
    fired("full");
    errno = ENOSPC;
    return 1;
  }
  if (asked("write") && is_database(fd)) {
    fired("write");
    errno = EIO;
    return 1;
  }
  return 0;
}

static int sync_fails(int fd) {
  if (!asked("sync") || !is_database(fd)) return 0;
  fired("sync");
  errno = EIO;
  return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
  ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
  return write_fails(fd) ? -1 : real(fd, data, count, offset);
}
ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) {
  ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
  return write_fails(fd) ? -1 : real(fd, data, count, offset);
}
ssize_t write(int fd, const void *data, size_t count) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  return write_fails(fd) ? -1 : real(fd, data, count);
}
static int synced(int fd, const char *name) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  if (sync_fails(fd)) return -1;
  int result = real(fd);
  if (asked("slow") && is_database(fd)) {
    fired("slow");
    usleep(50000);
  }
  if (asked("hold") && is_database(fd)) {
    fired("hold");
    while (asked("hold")) usleep(1000);
  }
  return result;
}
int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
