/*
 * keepalive-turns - two transfers of a file in turns: while one moves so many
 * bytes the other waits, so that whatever else happens on the machine happens
 * to both.
 *
 *   keepalive-turns down|up <turn in bytes> <file> <url> <file> <url>
 *
 * Down: from the URL, and the file is not written. Prints the seconds that each
 * of the two had the turn, from its first byte to the last reply.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct side {
  const char *file, *url;
  int started;
  curl_off_t moved;      /* in this turn */
  double began, seconds; /* of its turns, from the first byte on */
};

static struct side sides[2];
static const char *way;
static curl_off_t turn_bytes;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t passed = PTHREAD_COND_INITIALIZER;
static struct side *turn = &sides[0];
static int running = 2;

static double now_s(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void await_turn(struct side *self) {
  pthread_mutex_lock(&lock);
  while (turn != self) {
    pthread_cond_wait(&passed, &lock);
  }
  pthread_mutex_unlock(&lock);
  self->moved = 0;
  self->began = now_s();
}

/* To the other one, if that still runs. */
static void pass_turn(struct side *self, int done) {
  self->seconds += now_s() - self->began;
  pthread_mutex_lock(&lock);
  if (running == 2) {
    turn = &sides[self == &sides[0]];
    pthread_cond_broadcast(&passed);
  }
  running -= done;
  pthread_mutex_unlock(&lock);
}

static void move(struct side *self, size_t bytes) {
  if (!self->started) {
    self->started = 1;
    self->seconds = 0;
    self->began = now_s();
    /* Half a turn first: or a transfer of so many turns would have its last
     * bytes moved from buffer to buffer while the other one has the turn. */
    self->moved = turn_bytes / 2;
  }
  self->moved += (curl_off_t) bytes;
  if (self->moved >= turn_bytes) {
    pass_turn(self, 0);
    await_turn(self);
  }
}

static size_t receive(char *data, size_t size, size_t count, void *user) {
  (void) data;
  move(user, size * count);
  return size * count;
}

struct upload {
  struct side *side;
  FILE *file;
};

static size_t give(char *data, size_t size, size_t count, void *user) {
  struct upload *upload = user;
  size_t got = fread(data, size, count, upload->file);

  move(upload->side, size * got);
  return size * got;
}

static void *transfer(void *user) {
  struct side *self = user;
  struct upload upload = { self, fopen(self->file, "r") };
  CURL *curl = curl_easy_init();
  CURLcode result;

  if (upload.file == NULL || curl == NULL) {
    perror(self->file);
    exit(1);
  }

  curl_easy_setopt(curl, CURLOPT_URL, self->url);
  curl_easy_setopt(curl, CURLOPT_USERPWD, "ftp:ftp");
  curl_easy_setopt(curl, CURLOPT_USE_SSL,
    getenv("TLS") != NULL ? CURLUSESSL_ALL : CURLUSESSL_NONE);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  /* As the tool curl does it. */
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 102400L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, self);
  if (strcmp(way, "up") == 0) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl, CURLOPT_READDATA, &upload);
  }

  await_turn(self);
  result = curl_easy_perform(curl);
  if (result != CURLE_OK) {
    fprintf(stderr, "%s: %s\n", self->url, curl_easy_strerror(result));
    exit(1);
  }
  pass_turn(self, 1);
  fclose(upload.file);
  return curl;
}

int main(int argc, char **argv) {
  pthread_t thread[2];
  void *curl[2];

  if (argc != 7) {
    fprintf(stderr, "usage: keepalive-turns down|up <turn in bytes> "
      "<file> <url> <file> <url>\n");
    return 2;
  }

  curl_global_init(CURL_GLOBAL_ALL);
  way = argv[1];
  turn_bytes = (curl_off_t) strtoll(argv[2], NULL, 10);
  for (int i = 0; i < 2; i++) {
    sides[i].file = argv[3 + 2 * i];
    sides[i].url = argv[4 + 2 * i];
    pthread_create(&thread[i], NULL, transfer, &sides[i]);
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(thread[i], &curl[i]);
  }
  /* The end of a session takes time that the other one would be charged for. */
  for (int i = 0; i < 2; i++) {
    curl_easy_cleanup(curl[i]);
  }

  printf("%.6f %.6f\n", sides[0].seconds, sides[1].seconds);
  return 0;
}
