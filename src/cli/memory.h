// How the program takes memory from the system and gives it back.
#pragma once

namespace ferry::cli {

// Large blocks go back to the system when they are freed.  Left alone, glibc keeps those of up to 32 MiB, and
// what 100,000 tensors need while they are read would stay resident.
void give_back_large_blocks();

}  // namespace ferry::cli
