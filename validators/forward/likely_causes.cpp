#include "validators/forward/likely_causes.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace ferry::forward {
namespace {

std::array<unsigned, 3> numbers_of(std::string_view version) {
  std::array<unsigned, 3> numbers{};
  for (unsigned& number : numbers) {
    const auto [end, problem] = std::from_chars(version.data(), version.data() + version.size(), number);
    if (problem != std::errc()) break;
    version.remove_prefix(static_cast<std::size_t>(end - version.data()));
    if (!version.starts_with('.')) break;
    version.remove_prefix(1);
  }
  return numbers;
}

// Classes of people's own code are written as it comes: Stft is STFT.
bool contains(const std::vector<std::string>& list, std::string_view item) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::any_of(list.begin(), list.end(), [&](const std::string& one) {
    return std::equal(one.begin(), one.end(), item.begin(), item.end(),
                      [&](char a, char b) { return lower(a) == lower(b); });
  });
}

// "aten.conv2d.default" is an overload of "aten.conv2d".
bool names_op(const std::vector<std::string>& ops, const std::string& called) {
  return std::any_of(ops.begin(), ops.end(), [&](const std::string& op) {
    return called == op || (called.starts_with(op) && called[op.size()] == '.');
  });
}

// One change held against the symptom: each observation adds weight and a reason, or rules it out.
class Candidate {
 public:
  Candidate(const KnownChange& change, const Symptom& symptom) : change_(change), symptom_(symptom) {}

  bool ruled_out() {
    return !weigh_versions() || !weigh_kind() || !weigh_weights() || !weigh_hardware() || !weigh_place() ||
           cause_.weight <= 0;
  }
  LikelyCause cause() {
    weigh_size();
    cause_.id = change_.id;
    cause_.title = change_.title;
    cause_.cure = change_.cure;
    return std::move(cause_);
  }

 private:
  void speaks_for(double weight, std::string reason) {
    cause_.weight += weight;
    cause_.reasons.push_back(std::move(reason));
  }

  bool weigh_versions() {
    if (change_.from.empty()) cause_.weight += 1;  // of the code or the weights: possible in any migration
    if (change_.from.empty() || symptom_.before_torch.empty() || symptom_.after_torch.empty()) return true;
    // The old side may be any patch release of the last version with the old behaviour.
    const auto &before = symptom_.before_torch, &after = symptom_.after_torch;
    const bool old_enough = compare_versions(before, change_.to) < 0;
    const bool new_enough = compare_versions(after, change_.to) >= 0;
    if (!old_enough || !new_enough) return false;
    speaks_for(1, "it lies between " + before + " and " + after);
    return true;
  }

  bool weigh_kind() {
    switch (change_.kind) {
      case ChangeKind::rounding:
        return symptom_.same_function;
      case ChangeKind::error:
        if (symptom_.failed) speaks_for(1, "the new run failed");
        return symptom_.failed;
      case ChangeKind::shape:
        if (symptom_.shape_changed) speaks_for(1, "a shape changed");
        return symptom_.shape_changed;
      case ChangeKind::dtype:
        if (symptom_.dtype_changed) speaks_for(1, "a type changed");
        return symptom_.dtype_changed;
      case ChangeKind::index:
        if (symptom_.index_changed) speaks_for(1, "indices changed");
        return symptom_.index_changed || !symptom_.same_function;
      case ChangeKind::value:
        return !symptom_.same_function;
    }
    return false;
  }

  bool weigh_weights() {
    if (!change_.weights) return true;
    if (symptom_.weights_differ) speaks_for(8, "the recorded weights differ");
    return !symptom_.weights_equal;
  }

  bool weigh_hardware() {
    if (!change_.cuda_only) return true;
    if (symptom_.cuda) speaks_for(1, "the new side ran on a GPU");
    return symptom_.cuda;
  }

  // Functions between modules leave no class behind: a change that names operations only stays possible.
  bool weigh_place() {
    if (contains(change_.modules, symptom_.first_module)) {
      speaks_for(4, "the first module that differs is of class " + symptom_.first_module);
      return true;
    }
    for (const std::string& op : symptom_.near_ops)
      if (names_op(change_.ops, op)) {
        speaks_for(4, "it is in " + op);
        return true;
      }
    for (const std::string& cls : symptom_.near_modules)
      if (contains(change_.modules, cls)) {
        speaks_for(2, "a module of class " + cls + " is inside or around the first one that differs");
        return true;
      }
    return change_.weights || (symptom_.near_ops.empty() && !change_.ops.empty() && change_.modules.empty());
  }

  void weigh_size() {
    if (change_.edge_inputs && symptom_.edge_inputs_only) speaks_for(2, "only edge inputs differ");
    if (change_.most <= 0 || symptom_.relative <= 0) return;
    if (symptom_.relative >= change_.least / 10 && symptom_.relative <= change_.most * 10)
      speaks_for(1, "the drift is of that size");
    else
      cause_.weight -= 0.5;
  }

  const KnownChange& change_;
  const Symptom& symptom_;
  LikelyCause cause_;
};

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  const auto left = numbers_of(a), right = numbers_of(b);
  return left < right ? -1 : left == right ? 0 : 1;
}

std::vector<LikelyCause> likely_causes(std::span<const KnownChange> changes, const Symptom& symptom) {
  std::vector<LikelyCause> causes;
  for (const KnownChange& change : changes) {
    Candidate candidate(change, symptom);
    if (!candidate.ruled_out()) causes.push_back(candidate.cause());
  }
  std::stable_sort(causes.begin(), causes.end(),
                   [](const LikelyCause& a, const LikelyCause& b) { return a.weight > b.weight; });
  // What is merely possible is noise beside what is likely.
  const double least = causes.empty() ? 0 : causes.front().weight / 2;
  std::erase_if(causes, [&](const LikelyCause& cause) { return cause.weight < least; });
  return causes;
}

}  // namespace ferry::forward
