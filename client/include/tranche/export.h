// Marks what libtranche.so exports; everything else in it is hidden.
#pragma once

#define TRANCHE_EXPORT __attribute__((visibility("default")))
