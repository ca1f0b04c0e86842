#include <iostream>
#include <string>

std::string TryToBuy(const std::string& endpoint);

int main(int argc, char** argv) { std::cout << TryToBuy(argv[1]) << "\n"; }
