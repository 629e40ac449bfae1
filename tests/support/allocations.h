// Counts the allocations of a thread. Linking allocations.cpp replaces operator new.
#pragma once

namespace tutti::test {

// Starts or stops counting the calling thread's.
void count_allocations(bool on);
// Counted so far, all threads together.
long allocations();

}  // namespace tutti::test
