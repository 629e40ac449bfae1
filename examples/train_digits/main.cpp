// Trains a small neural network on handwritten digits, data-parallel: Tutti averages the gradients.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "digits.h"
#include "training.h"
#include "tutti/communicator.h"

namespace {

using digits::Epoch;

constexpr int kFailed = 1;  // the accuracy is below --min-accuracy
constexpr int kUsage = 2;
constexpr int kError = 3;

struct Options {
  digits::Settings settings;
  std::string data = TUTTI_DIGITS_CSV;
  double min_accuracy = 95;
  bool json = false;
};

void add_options(CLI::App& app, Options& options) {
  auto& settings = options.settings;
  app.add_option("--epochs", settings.epochs, "Passes over the training images")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--batch", settings.batch, "Images per step, on all ranks together")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--rate", settings.rate, "Learning rate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--momentum", settings.momentum, "Momentum")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--seed", settings.seed, "Of the parameters, the split and the order of images")
      ->capture_default_str();
  app.add_option("--data", options.data, "CSV of 64 pixels and a label per line");
  app.add_option("--min-accuracy", options.min_accuracy,
                 "Exit with 1 when the test accuracy in percent ends below this")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print JSON instead of a table");
  app.footer(
      "\nData: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine\n"
      "Learning Repository, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0.\n");
}

void print_epoch(const Epoch& epoch, double first_loss) {
  constexpr double kBarColumns = 40;
  const auto columns = static_cast<std::size_t>(
      std::lround(std::clamp(epoch.loss / first_loss, 0.0, 1.0) * kBarColumns));
  fmt::print("{:>5}  {:>10.6f}  {:>11.2f}  {:>7.1f}  {}\n", epoch.number, epoch.loss,
             100 * epoch.test_accuracy, epoch.time_ms, std::string(columns, '#'));
  std::fflush(stdout);
}

void print_json(const std::vector<Epoch>& epochs, const Options& options, int ranks) {
  nlohmann::ordered_json report = {{"ranks", ranks},
                                   {"batch", options.settings.batch},
                                   {"seed", options.settings.seed},
                                   {"epochs", nlohmann::ordered_json::array()}};
  for (const Epoch& epoch : epochs) {
    report["epochs"].push_back({{"epoch", epoch.number},
                                {"loss", epoch.loss},
                                {"test_accuracy_percent", 100 * epoch.test_accuracy},
                                {"time_ms", epoch.time_ms}});
  }
  fmt::print("{}\n", report.dump(2));
}

int fail(const tutti::Status& error, const std::string& who) {
  fmt::print(stderr, "train_digits: {}{}: {}\n", who, name(error.code()), error.message());
  return kError;
}

int train(tutti::Communicator& communicator, const Options& options) {
  const bool leader = communicator.rank() == 0;
  const std::string who = fmt::format("rank {}: ", communicator.rank());
  const auto data = digits::load(options.data, options.settings.seed);
  if (!data.ok()) return fail(data.status(), who);
  if (leader && !options.json) {
    fmt::print("{} training and {} test images, {} ranks, {} images per step\n",
               data->training.size(), data->test.size(), communicator.size(),
               options.settings.batch);
    fmt::print("epoch        loss  accuracy(%)       ms\n");
  }
  digits::Training training(communicator, *data, options.settings);
  if (const auto started = training.start(); !started.ok()) return fail(started, who);
  std::vector<Epoch> epochs;
  for (int number = 1; number <= options.settings.epochs; ++number) {
    const auto epoch = training.run_epoch(number);
    if (!epoch.ok()) return fail(epoch.status(), who);
    epochs.push_back(*epoch);
    if (leader && !options.json) print_epoch(*epoch, epochs.front().loss);
  }
  if (leader && options.json) print_json(epochs, options, communicator.size());
  const double accuracy = 100 * epochs.back().test_accuracy;
  if (accuracy >= options.min_accuracy) return 0;
  if (leader) {
    fmt::print(stderr, "train_digits: test accuracy {:.2f} % is below --min-accuracy {:g} %\n",
               accuracy, options.min_accuracy);
  }
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a small neural network on 8 x 8 images of digits, on all ranks together.",
               "train_digits");
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    return app.exit(failure) == 0 ? 0 : kUsage;
  }
  auto communicator = tutti::Communicator::create();
  if (!communicator.ok()) return fail(communicator.status(), "");
  return train(*communicator, options);
}
