// Marks what the shared library exports; everything else is hidden.
#pragma once

// Stands before what a program may link.
#define TUTTI_API __attribute__((visibility("default")))
