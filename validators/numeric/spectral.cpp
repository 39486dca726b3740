#include "validators/numeric/spectral.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "validators/numeric/joint_layout.h"
#include "validators/numeric/rounding.h"

namespace ferry::numeric {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;

constexpr std::uint64_t kReadElements = 64 << 10;
constexpr Eigen::Index kSmall = 48;  // the shorter side of a matrix whose eigenvalues are taken whole
constexpr Eigen::Index kRowBytes = 256 << 10;  // rows that are used twice while they are near
constexpr int kStepsMax = 120;
constexpr double kAccuracy = 1e-3;

// Calls with the first index and both sides' numbers, in row-major order; ends when that returns false.
template <typename Take>
bool each_run(const TensorView& before, const TensorView& after, Take take) {
  const std::uint64_t count = before.numel();
  std::vector<std::byte> bytes;
  std::vector<double> one, other;
  for (std::uint64_t at = 0; at < count; at += kReadElements) {
    const std::uint64_t elements = std::min(kReadElements, count - at);
    const auto read = [&](const TensorView& view, std::vector<double>& numbers) {
      bytes.resize(elements * info(view.dtype).itemsize);
      read_elements(view, at, elements, bytes);
      decode_components(view.dtype, bytes, numbers);
    };
    read(before, one);
    read(after, other);
    if (!take(at, one, other)) return false;
  }
  return true;
}

// The largest |before| and |after − before|; both infinite when a number is not finite.
struct Peaks {
  double before = 0, difference = 0;
};

Peaks find_peaks(const TensorView& before, const TensorView& after) {
  Peaks peaks;
  const bool finite = each_run(before, after, [&](std::uint64_t, const auto& one, const auto& other) {
    for (std::size_t i = 0; i < one.size(); ++i) {
      if (!std::isfinite(one[i]) || !std::isfinite(other[i])) return false;
      peaks.before = std::max(peaks.before, std::abs(one[i]));
      peaks.difference = std::max(peaks.difference, std::abs(other[i] - one[i]));
    }
    return true;
  });
  if (!finite) peaks.before = peaks.difference = std::numeric_limits<double>::infinity();
  return peaks;
}

// y = MᵀM x, with every row fetched once.
Vector apply(const Matrix& matrix, const Vector& x) {
  Vector y = Vector::Zero(matrix.cols());
  const Eigen::Index rows =
      std::max<Eigen::Index>(1, kRowBytes / (matrix.cols() * Eigen::Index{sizeof(float)}));
  for (Eigen::Index at = 0; at < matrix.rows(); at += rows) {
    const auto part = matrix.middleRows(at, std::min(rows, matrix.rows() - at));
    const Vector image = part * x;
    y.noalias() += part.transpose() * image;
  }
  return y;
}

// A fixed start that no structure of a matrix is likely to be orthogonal to.
Vector start_vector(Eigen::Index size) {
  Vector x(size);
  std::uint64_t state = 0x853c49e6748fea9bULL;
  for (Eigen::Index i = 0; i < size; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    x[i] = static_cast<float>(static_cast<std::int64_t>(state) >> 32) * 0x1p-31f;
  }
  return x.normalized();
}

// The largest eigenvalue of the tridiagonal matrix, and how far its vector is from one of the whole operator.
struct Ritz {
  double value = 0, residual = 0;
};

Ritz largest_ritz(const std::vector<double>& diagonal, const std::vector<double>& beside) {
  const auto size = static_cast<Eigen::Index>(diagonal.size());
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver;
  solver.computeFromTridiagonal(Eigen::Map<const Eigen::VectorXd>(diagonal.data(), size),
                                Eigen::Map<const Eigen::VectorXd>(beside.data(), size - 1));
  return {solver.eigenvalues()[size - 1],
          std::abs(beside.back() * solver.eigenvectors()(size - 1, size - 1))};
}

// σ₁² by Lanczos on MᵀM with full reorthogonalization; its error is at most the residual.
double lanczos(const Matrix& matrix) {
  const auto steps_max = static_cast<int>(std::min<Eigen::Index>(kStepsMax, matrix.cols()));
  std::vector<Vector> basis{start_vector(matrix.cols())};
  std::vector<double> diagonal, beside;
  Ritz ritz;
  for (int step = 0; step < steps_max; ++step) {
    Vector next = apply(matrix, basis.back());
    diagonal.push_back(static_cast<double>(next.dot(basis.back())));
    for (int again = 0; again < 2; ++again)  // once loses what rounding left
      for (const Vector& old : basis) next -= next.dot(old) * old;
    beside.push_back(static_cast<double>(next.norm()));
    const bool ends = beside.back() <= 1e-7 * diagonal.front() || step + 1 == steps_max;
    if (ends || step % 4 == 3) {
      ritz = largest_ritz(diagonal, beside);
      if (ends || ritz.residual <= kAccuracy * ritz.value) break;
    }
    basis.push_back(next / static_cast<float>(beside.back()));
  }
  return ritz.value;
}

double largest_singular_value(const Matrix& matrix) {
  if (std::min(matrix.rows(), matrix.cols()) > kSmall) return std::sqrt(lanczos(matrix));
  const Eigen::MatrixXd wide = matrix.cast<double>();
  const Eigen::MatrixXd gram = wide.rows() < wide.cols() ? Eigen::MatrixXd(wide * wide.transpose())
                                                         : Eigen::MatrixXd(wide.transpose() * wide);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram, Eigen::EigenvaluesOnly);
  return std::sqrt(std::max(0.0, solver.eigenvalues()[gram.rows() - 1]));
}

}  // namespace

std::optional<double> spectral_ratio(const TensorView& before, const TensorView& after,
                                     std::uint64_t elements_max) {
  const NumberFormat &one = format_of(before.dtype), &other = format_of(after.dtype);
  if (one.kind == Kind::bits || other.kind == Kind::bits || one.components + other.components > 2)
    return std::nullopt;
  const std::uint64_t elements = before.numel();
  if (before.shape.size() < 2 || elements == 0 || elements > elements_max) return std::nullopt;
  if (!JointLayout(before, after).affordable()) return std::nullopt;
  const Peaks peaks = find_peaks(before, after);
  if (!std::isfinite(peaks.before) || !std::isfinite(peaks.difference)) return std::nullopt;
  if (peaks.difference == 0) return 0;
  if (peaks.before == 0) return std::numeric_limits<double>::infinity();
  // Scaled to 1, so that squares of floats neither vanish nor end.
  const auto rows = static_cast<Eigen::Index>(before.shape[0]);
  Matrix was(rows, static_cast<Eigen::Index>(elements) / rows), change(was.rows(), was.cols());
  each_run(before, after, [&](std::uint64_t at, const auto& b, const auto& a) {
    for (std::size_t i = 0; i < b.size(); ++i) {
      was.data()[at + i] = static_cast<float>(b[i] / peaks.before);
      change.data()[at + i] = static_cast<float>((a[i] - b[i]) / peaks.difference);
    }
    return true;
  });
  return largest_singular_value(change) / largest_singular_value(was) * (peaks.difference / peaks.before);
}

}  // namespace ferry::numeric
