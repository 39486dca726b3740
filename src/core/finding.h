// Every code that a message, a report or a finding can carry: one table, read by errors, reports and
// `explain`.
//
// The codes are part of the contract with users: they are never renumbered.  TF1xx: the container or its
// records; TF2xx: the pickle program and the values in it; TF3xx: refused for safety; TF4xx: input, output,
// usage; TF5xx: what a conversion changed; TF6xx: remarks; TF7xx: checks that failed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferry {

// What kind of "no" it is; it decides the exit code: refused is 3, everything else 2.
enum class Fault : std::uint8_t { io, usage, corrupt, unsupported, refused, remark };

enum class Code : std::uint16_t {
  // TF1xx: containers
  unknown_format = 101,
  not_a_checkpoint = 102,
  truncated = 103,
  bad_zip = 104,
  zip_disagreement = 105,
  checksum_mismatch = 106,
  bad_deflate = 107,
  missing_record = 108,
  duplicate_record = 109,
  bad_record_size = 110,
  bad_legacy_stream = 111,
  bad_version = 112,
  bad_byte_order = 113,
  unsupported_container = 114,
  limit_exceeded = 115,
  output_differs = 116,
  bad_safetensors = 117,
  bad_npy = 118,
  bad_hdf5 = 119,
  bad_json = 120,
  bad_golden = 121,
  bad_pt2 = 122,
  bad_tar = 123,
  bad_torchscript = 124,
  // TF2xx: pickles and values
  bad_pickle = 201,
  bad_storage = 202,
  bad_tensor = 203,
  bad_call = 204,
  unsupported_value = 205,
  too_deep = 206,
  unsupported_tensor = 207,
  whole_object = 208,
  key_collision = 209,
  target_lacks = 240,
  // TF3xx: safety
  unsafe_global = 301,
  // TF4xx: input, output, usage
  cannot_read = 401,
  cannot_write = 402,
  output_exists = 403,
  same_file = 404,
  output_collision = 405,
  bad_usage = 406,
  source_changed = 407,
  out_of_memory = 408,
  nothing_selected = 409,
  no_input = 410,
  internal = 411,
  helper_missing = 412,
  bad_policy = 413,
  model_failed = 414,
  weights_misfit = 415,
  bad_recipe = 431,
  recipe_mismatch = 432,
  // TF5xx: changes made by a conversion
  prefix_stripped = 501,
  amp_to_scaler = 502,
  optimizer_ids = 503,
  optimizer_steps = 504,
  optimizer_groups = 505,
  device_to_cpu = 506,
  object_to_data = 507,
  storage_compacted = 508,
  python2_text = 509,
  attributes_dropped = 510,
  scaler_from_object = 511,
  conj_resolved = 512,
  selected = 513,
  renamed = 514,
  excluded = 515,
  container_rewritten = 516,
  fp16_optimizer = 520,
  masters_to_model = 521,
  scaler_to_none = 522,
  amp_dropped = 523,
  scheduler_state = 524,
  optimizer_history = 525,
  layout_fixed = 526,
  rng_state = 527,
  tensor_rebuilt = 528,
  recipe_applied = 530,
  recipe_selected = 531,
  recipe_moved = 532,
  recipe_renamed = 533,
  recipe_dropped = 534,
  recipe_set = 535,
  steps_to_integers = 540,
  tied_once = 541,
  tensor_lost = 550,
  value_lost = 551,
  // TF6xx: remarks
  no_checksums = 601,
  static_loss_scale = 602,
  ambiguous_prefix = 603,
  crc_not_computed = 604,
  trailing_bytes = 605,
  scaler_exists = 606,
  stale_optimizer_state = 607,
  inexact_step = 608,
  lost_value = 609,
  needs_newer = 610,
  not_compared = 611,
  keys_reordered = 612,
  common_cause = 613,
  archive_metadata = 614,
  several_pickles = 615,
  code_left_out = 616,
  nested_checkpoint = 617,
  amp_evidence = 620,
  masters_unplaced = 621,
  parameter_names = 622,
  parameters_unmatched = 623,
  apex_optimizer = 624,
  function_lost = 625,
  fix_not_applied = 626,
  apex_trace = 627,
  old_rng_state = 628,
  module_described = 629,
  needs_later_old = 640,
  sharing_lost = 641,
  state_beside = 642,
  // TF65x: what doctor remarks
  package_conflict = 650,
  requirement_conflict = 651,
  broken_environment = 652,
  no_ranges = 653,
  driver_missing = 654,
  driver_old = 655,
  gpu_unused = 656,
  helper_silent = 657,
  no_answer = 658,
  // TF7xx: checks of a validation that failed
  does_not_load = 701,
  does_not_map = 702,
  structure_differs = 703,
  tensors_differ = 704,
  optimizer_misfit = 705,
  scaler_unusable = 706,
  semantic_drift = 707,
  rounding_drift = 708,
  precision_drift = 709,
  device_missing = 710,
  partner_missing = 711,
  recipe_fits = 630,
  recipe_note = 631,
};

struct CodeInfo {
  Code code;
  Fault fault;
  std::string_view title;    // a few words
  std::string_view meaning;  // what it means for the person who sees it
  std::string_view hint;     // what to do about it; may be empty
};

const CodeInfo& info(Code code);
std::span<const CodeInfo> all_codes();
std::string code_name(Code code);                  // "TF101"
const CodeInfo* find_code(std::string_view name);  // "TF101" or "101", any case; nullptr when there is none

std::string_view fault_name(Fault fault);

}  // namespace ferry
