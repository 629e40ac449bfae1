// What the tests in C share: expectations, and ranks as threads of this process. A failed
// expectation ends the test program.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tutti/tutti.h"

#define EXPECT(condition) expect((condition), #condition, __FILE__, __LINE__)
#define EXPECT_OK(status) expect_ok((status), __FILE__, __LINE__)
#define EXPECT_ERROR(status, code, text) expect_error((status), (code), (text), __FILE__, __LINE__)
// The same of a work, which is waited for and freed.
#define EXPECT_DONE(work) expect_ok(outcome(work), __FILE__, __LINE__)
#define EXPECT_FAILED(work, code, text) \
  expect_error(outcome(work), (code), (text), __FILE__, __LINE__)

void expect(int holds, const char* what, const char* file, int line);
// Both free the status.
void expect_ok(tutti_status* status, const char* file, int line);
void expect_error(tutti_status* status, tutti_code code, const char* text, const char* file,
                  int line);
tutti_status* outcome(tutti_work* work);

// Calls body(comm) on `size` ranks at once, and frees the communicators when all are done.
void run_ranks(int size, void (*body)(tutti_comm* comm));

// Starts body(rank, context) on `size` threads and waits for them.
void run_threads(int size, void (*body)(int rank, void* context), void* context);
